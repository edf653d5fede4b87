using System.Text;
using Slipway.Kernel.Users;

namespace Slipway.Storage.Copies;

/// <param name="KeepKinds">A directory is not replaced by something else, nor something else by a directory.</param>
/// <param name="Owner">Whom everything belongs to, whatever the archive says; null: as the archive says.</param>
/// <param name="Maps">Of the user namespace that the tree belongs to: archives have its ids, the tree has those outside. Null: they are the same.</param>
/// <param name="Renamed">What the first component of entries' names becomes; null: it stays.</param>
public sealed record CopyOptions(bool KeepKinds, CopyOwner? Owner, IdMaps? Maps = null, CopyName? Renamed = null);

/// <summary>A new name for what is copied: of the entry itself, and of the directory that all others are in.</summary>
/// <param name="From">As <see cref="PathStatus"/> has it: a component, <c>.</c> or <c>/</c>.</param>
public sealed record CopyName(string From, string To)
{
    /// <summary>The name with its first component exchanged; one that begins otherwise stays.</summary>
    public byte[] Of(byte[] name)
    {
        byte[] from = Encoding.UTF8.GetBytes(From);
        byte[] to = Encoding.UTF8.GetBytes(To);
        return From == "/" && name is [(byte)'/', ..] ? [.. to, .. name]
            : name.AsSpan().StartsWith(from) && (name.Length == from.Length || name[from.Length] == '/') ? [.. to, .. name.AsSpan(from.Length)]
            : name;
    }
}

public sealed record CopyOwner(uint UserId, uint GroupId);
