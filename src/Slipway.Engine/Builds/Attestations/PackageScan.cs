using Slipway.Build.Packages;
using Slipway.Engine.Builds.Sources;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Attestations;

/// <summary>The packages of a root file system, as its package managers have written them down. Files are an image's: they are opened below its root, and read within limits.</summary>
internal static class PackageScan
{
    /// <summary>Bytes; Debian's largest status has some ten million.</summary>
    private const long MaximumDatabase = 64 << 20;

    /// <summary>Bytes of a file of JSON.</summary>
    private const long MaximumManifest = 8 << 20;

    private const int MaximumPackages = 200_000;
    private const int MaximumDepth = 256;

    /// <summary>Blocks; for a thread of its own.</summary>
    /// <returns>Each once, by type and name.</returns>
    public static IReadOnlyList<Package> Scan(SourceTree rootfs, CancellationToken cancellationToken)
    {
        string distribution = (Text(rootfs, "etc/os-release", PackageDatabases.Distribution) ?? Text(rootfs, "usr/lib/os-release", PackageDatabases.Distribution)) is { Length: > 0 } id ? id : "linux";
        HashSet<Package> packages = [];
        Add(Text(rootfs, "var/lib/dpkg/status", status => PackageDatabases.Dpkg(status, distribution).ToList()));
        foreach (SourceNode file in rootfs.Find("var/lib/dpkg/status.d")?.Children.Values.ToArray() ?? [])
        {
            Add(Text(file, status => PackageDatabases.Dpkg(status, distribution).ToList()));
        }

        foreach (string path in (ReadOnlySpan<string>)["lib/apk/db/installed", "usr/lib/apk/db/installed"])
        {
            Add(Text(rootfs, path, installed => PackageDatabases.Apk(installed, distribution).ToList()));
        }

        Stack<(SourceNode Directory, int Depth, bool IsOfNode)> left = new([(rootfs.Root, 0, false)]);
        while (left.TryPop(out (SourceNode Directory, int Depth, bool IsOfNode) next))
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach ((string name, SourceNode node) in next.Directory.Children)
            {
                if (node.IsDirectory)
                {
                    if (next.Depth < MaximumDepth)
                    {
                        left.Push((node, next.Depth + 1, next.IsOfNode || name == "node_modules"));
                    }
                }
                else if (name.EndsWith(".deps.json", StringComparison.Ordinal))
                {
                    Add(Bytes(node) is { } bytes ? PackageDatabases.Dotnet(bytes) : []);
                }
                else if (next.IsOfNode && name == "package.json" && Bytes(node) is { } manifest && PackageDatabases.Node(manifest) is { } package)
                {
                    Add([package]);
                }
            }
        }

        return [.. packages.OrderBy(package => package.Url, StringComparer.Ordinal).ThenBy(package => package.License, StringComparer.Ordinal)];

        void Add(IReadOnlyList<Package>? found)
        {
            packages.UnionWith(found ?? []);
            if (packages.Count > MaximumPackages)
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"the image has more than {MaximumPackages} packages");
            }
        }
    }

    private static T? Text<T>(SourceTree rootfs, string path, Func<TextReader, T> read) => rootfs.Find(path) is { } file ? Text(file, read) : default;

    private static T? Text<T>(SourceNode file, Func<TextReader, T> read)
    {
        if (file.Entry.Type != TarEntryType.Regular || file.Entry.Size > MaximumDatabase)
        {
            return default;
        }

        using StreamReader reader = new(file.Open());
        return read(reader);
    }

    private static byte[]? Bytes(SourceNode file)
    {
        if (file.Entry.Type != TarEntryType.Regular || file.Entry.Size > MaximumManifest)
        {
            return null;
        }

        using Stream content = file.Open();
        byte[] bytes = new byte[file.Entry.Size];
        content.ReadExactly(bytes);
        return bytes;
    }
}
