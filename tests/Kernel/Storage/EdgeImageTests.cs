using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Oci.Tar;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Images made to be hard to unpack give the root file systems that their makers expect.</summary>
public sealed class EdgeImageTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("hard-link-1")]
    [InlineData("hard-link-2")]
    [InlineData("hard-link-delete-1")]
    [InlineData("hard-link-delete-2")]
    [InlineData("hard-link-delete-3")]
    [InlineData("hard-link-delete-4")]
    [InlineData("hard-link-delete-xattr")]
    [InlineData("root-dir-entry")]
    [InlineData("whiteout-explicit-dir")]
    [InlineData("whiteout-explicit-file")]
    [InlineData("whiteout-opaque")]
    [InlineData("whiteout-opaque-end")]
    public async Task The_root_file_system_is_as_expected(string name)
    {
        await using var archive = Samples.Open($"edge/oci/{name}.tar");
        await using var golden = Samples.Open($"edge/expected/{name}.tar");
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var loaded = await temporary.Root.Images.LoadAsync(archive, null, null, Cancellation);
        using var rootfs = temporary.Root.Snapshots.MountImage(loaded[0].Image.ChainIds);
        Assert.Equal(Expected(golden), Actual(rootfs, ""));
    }

    [Fact]
    public async Task Fifty_layers_stack()
    {
        await using var archive = Samples.Open("edge/oci/many-layers.tar");
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var loaded = await temporary.Root.Images.LoadAsync(archive, null, null, Cancellation);
        Assert.Equal(50, loaded[0].Image.Layers.Count);
        using var rootfs = temporary.Root.Snapshots.MountImage(loaded[0].Image.ChainIds);
        Assert.Equal(50, Actual(rootfs, "").Count(line => line.Contains("RegularFile", StringComparison.Ordinal)));
    }

    private static List<string> Expected(Stream tar)
    {
        var files = new Dictionary<string, string>();
        var links = new Dictionary<string, string>();
        var reader = new TarReader(tar);
        while (reader.Next() is { } entry)
        {
            var name = Clean(entry.Name);
            var content = new byte[entry.Size];
            for (var offset = 0; offset < content.Length;)
            {
                offset += reader.Read(content.AsSpan(offset));
            }

            var type = entry.Type switch
            {
                TarEntryType.Directory => FileType.Directory,
                TarEntryType.SymbolicLink => FileType.SymbolicLink,
                _ => FileType.RegularFile,
            };
            if (entry.Type == TarEntryType.HardLink)
            {
                links[name] = Clean(entry.LinkName);
            }
            else if (name.Length > 0)
            {
                files[name] = Describe(type, entry.Mode, (uint)entry.Uid, (uint)entry.Gid, content, entry.LinkName, entry.Xattrs.Select(xattr => Encoding.UTF8.GetString(xattr.Name)));
            }
        }

        // A link may come before the file; and one golden tree names the deleted first name of what is now the only other file.
        foreach (var (name, target) in links)
        {
            files[name] = files.GetValueOrDefault(target) ?? files.Values.Single(file => file.StartsWith(nameof(FileType.RegularFile), StringComparison.Ordinal));
        }

        return [.. files.Select(file => $"{file.Key}\t{file.Value}").Order(StringComparer.Ordinal)];
    }

    private static string Clean(byte[] name) => string.Join('/', Encoding.UTF8.GetString(name).Split('/').Where(part => part is not ("" or ".")));

    private static List<string> Actual(SafeFileHandle directory, string prefix)
    {
        var lines = new List<string>();
        foreach (var entry in new DirectoryListing(directory))
        {
            var name = prefix + Encoding.UTF8.GetString(entry.Name);
            var status = FileStatus.Of(directory, entry.Name);
            byte[] content = [], target = [];
            if (status.IsRegularFile)
            {
                using var file = DirectoryEntry.Open(directory, entry.Name, OpenFlags.ReadOnly);
                content = Descriptors.ReadToEnd(file, 1 << 24);
            }
            else if (status.IsSymbolicLink)
            {
                target = DirectoryEntry.ReadLink(directory, entry.Name);
            }

            var xattrs = ExtendedAttributes.List(directory, entry.Name).Select(xattr => Encoding.UTF8.GetString(xattr)).Where(xattr => xattr.StartsWith("user.", StringComparison.Ordinal));
            lines.Add($"{name}\t{Describe(status.Type, status.Permissions, status.UserId, status.GroupId, content, target, xattrs)}");
            if (status.IsDirectory)
            {
                using var child = DirectoryEntry.Open(directory, entry.Name, OpenFlags.Path | OpenFlags.Directory);
                lines.AddRange(Actual(child, name + "/"));
            }
        }

        return prefix.Length > 0 ? lines : [.. lines.Order(StringComparer.Ordinal)];
    }

    private static string Describe(FileType type, uint mode, uint uid, uint gid, byte[] content, byte[] target, IEnumerable<string> xattrs) =>
        $"{type} {Convert.ToString(mode, 8)} {uid}:{gid} {Convert.ToHexStringLower(SHA256.HashData(content))[..8]} {Encoding.UTF8.GetString(target)} [{string.Join(',', xattrs.Order(StringComparer.Ordinal))}]";
}
