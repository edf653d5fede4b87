using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Layers;

/// <summary>
/// What later entries of a layer's own tar replaced, for making the tar again. A content is lost by the first replacement of its path, or of a
/// directory above it, that came after it.
/// </summary>
internal sealed class LostContents : IDisposable
{
    private readonly RootDirectory _lost;

    /// <summary>By path: how many contents came before the replacement, and the number of what was put aside.</summary>
    private readonly Dictionary<string, List<(long Before, ulong Number)>> _replacements = new(StringComparer.Ordinal);

    private LostContents(SafeFileHandle lost) => _lost = new RootDirectory(lost);

    /// <returns>Null for a layer in which nothing was lost.</returns>
    public static LostContents? TryOpen(SafeFileHandle layer, Func<RecipeReader> openRecipe)
    {
        var errno = DirectoryEntry.TryOpen(layer, Recipe.LostName, OpenFlags.Path | OpenFlags.Directory, out var directory);
        if (errno == Errno.ENOENT)
        {
            return null;
        }

        var lost = errno == 0 ? new LostContents(directory!) : throw new KernelException("open lost", errno);
        using var recipe = openRecipe();
        long contents = 0;
        while (recipe.Next() is { } step)
        {
            if (step.Kind == Recipe.Content)
            {
                contents++;
            }
            else if (step.Kind == Recipe.Lost)
            {
                var key = Key(step.Bytes);
                if (!lost._replacements.TryGetValue(key, out var list))
                {
                    lost._replacements.Add(key, list = []);
                }

                list.Add((contents, step.Number));
            }
        }

        return lost;
    }

    /// <summary>Opens a content that was lost; null for one that is still where it was.</summary>
    /// <param name="index">How many contents came before it.</param>
    public SafeFileHandle? TryOpen(ReadOnlySpan<byte> path, long index)
    {
        (long Before, ulong Number, int Length)? first = null;
        for (var length = path.Length; length > 0; length = path[..length].LastIndexOf((byte)'/'))
        {
            foreach (var (before, number) in _replacements.GetValueOrDefault(Key(path[..length])) ?? [])
            {
                if (before > index && (first is null || before < first.Value.Before || (before == first.Value.Before && number < first.Value.Number)))
                {
                    first = (before, number, length);
                }
            }
        }

        if (first is not { } loss)
        {
            return null;
        }

        byte[] inside = [.. Encoding.ASCII.GetBytes(RecipeWriter.NameOf(loss.Number)), .. path[loss.Length..]];
        return _lost.Open(inside, OpenFlags.ReadOnly, resolution: Resolution.Canonical);
    }

    public void Dispose() => _lost.Dispose();

    private static string Key(ReadOnlySpan<byte> path) => Encoding.Latin1.GetString(path);
}
