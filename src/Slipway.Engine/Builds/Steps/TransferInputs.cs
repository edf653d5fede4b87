using Slipway.Build.Context;
using Slipway.Build.Solving;
using Slipway.Engine.Builds.Sources;
using Slipway.Oci;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Steps;

/// <summary>A file or directory that COPY or ADD reads.</summary>
/// <param name="Name">What it is called at its destination.</param>
/// <param name="Folder">Of <c>--parents</c>: the directories it lies in; empty: none are kept.</param>
/// <param name="Unpacked">Of ADD: it is an archive, and this is what is in it.</param>
internal sealed record TransferItem(SourceNode Node, string Name, string Folder, SourceTree? Unpacked = null);

/// <summary>What a COPY or ADD reads, found and hashed.</summary>
internal sealed class TransferInputs : StepInputs
{
    private const uint SetUser = 0x800; // S_ISUID
    private const uint SetGroup = 0x400; // S_ISGID
    private const uint GroupExecute = 0x8; // S_IXGRP

    /// <summary>Trees that are closed with it.</summary>
    public List<IDisposable> Owned { get; } = [];

    public required IReadOnlyList<TransferItem> Items { get; init; }

    public required IgnoreFile Excludes { get; init; }

    /// <summary>Files have the owners they have there.</summary>
    public required bool KeepsOwners { get; init; }

    /// <summary>Programs lose what lets them run as their owner or group, since that is given them anew (chown(2)): so does the classic builder.</summary>
    public bool ClearsSetId { get; init; }

    /// <summary>The mode that a file gets whose owner is not kept.</summary>
    public uint ModeOf(TarEntry entry) => ModeOf(entry, ClearsSetId);

    /// <summary>A digest over names, kinds, modes, links and contents; over owners where they are kept; never over times, as in Docker.</summary>
    public static Digest ContentOf(IReadOnlyList<TransferItem> items, IgnoreFile excludes, bool keepsOwners, CancellationToken cancellationToken, bool clearsSetId = false)
    {
        using KeyBuilder key = new("content");
        foreach (TransferItem item in items)
        {
            SourceNode node = item.Unpacked?.Root ?? item.Node;
            key.Add(item.Folder).Add(node.IsDirectory && item.Unpacked is null ? "" : item.Name).Add(item.Unpacked is not null);
            AddNode(key, node, "", excludes, keepsOwners, clearsSetId && item.Unpacked is null && !keepsOwners, cancellationToken);
        }

        return key.Finish();
    }

    private static uint ModeOf(TarEntry entry, bool clearsSetId) =>
        !clearsSetId || entry.Type != TarEntryType.Regular ? entry.Mode : entry.Mode & ~SetUser & ((entry.Mode & GroupExecute) != 0 ? ~SetGroup : ~0u);

    protected override ValueTask CloseAsync()
    {
        Owned.ForEach(tree => tree.Dispose());
        return ValueTask.CompletedTask;
    }

    private static void AddNode(KeyBuilder key, SourceNode node, string path, IgnoreFile excludes, bool keepsOwners, bool clearsSetId, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        TarEntry entry = node.Entry;
        key.Add(path).Add((int)entry.Type);
        if (path.Length > 0 || !node.IsDirectory)
        {
            // The directory that is copied itself is not made anew: its metadata has no say.
            key.Add(ModeOf(entry, clearsSetId));
            if (keepsOwners)
            {
                key.Add(entry.Uid).Add(entry.Gid);
            }

            foreach (TarXattr xattr in entry.Xattrs)
            {
                key.Add(xattr.Name).Add(xattr.Value);
            }
        }

        switch (entry.Type)
        {
            case TarEntryType.Regular:
                key.Add(node.Hash(cancellationToken));
                break;
            case TarEntryType.SymbolicLink:
                key.Add(entry.LinkName);
                break;
            case TarEntryType.CharacterDevice or TarEntryType.BlockDevice:
                key.Add(entry.DeviceMajor).Add(entry.DeviceMinor);
                break;
        }

        foreach (SourceNode child in node.Children.Values)
        {
            string below = path.Length == 0 ? child.Name : $"{path}/{child.Name}";
            if (!excludes.Ignores(SourceTree.Display(below)) || (child.IsDirectory && excludes.HasExceptions))
            {
                AddNode(key, child, below, excludes, keepsOwners, clearsSetId, cancellationToken);
            }
        }
    }
}
