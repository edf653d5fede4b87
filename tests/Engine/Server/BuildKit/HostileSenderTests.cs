using Google.Protobuf;
using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Xunit;

namespace Slipway.Tests.Engine.Server.BuildKit;

/// <summary>Clients that list what they like: nothing is written but into the tree, and what is not finished is worth nothing.</summary>
public sealed class HostileSenderTests : IDisposable
{
    private const uint Folder = (1u << 31) | 0x1ed;
    private const uint Link = (1u << 27) | 0x1ff;
    private const uint Plain = 0x1a4;

    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-hostile-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Nothing_is_written_through_a_link_that_was_listed_or_that_was_a_directory_before()
    {
        string outside = Directory.CreateDirectory(Path.Combine(_folder, "outside")).FullName;
        File.WriteAllText(Path.Combine(outside, "f"), "mine");
        ContextStore store = Store();
        Sync(store, [Listed("d", Folder), Listed("d/f", Plain, "theirs")]);

        GrpcException refused = Assert.Throws<GrpcException>(() => Sync(store, [Listed("d", Link, link: outside), Listed("d/f", Plain, "evil")]));

        Assert.Equal(GrpcStatusCode.InvalidArgument, refused.Code);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(outside, "f")));
    }

    [Fact]
    public void Hard_links_lead_to_files_of_the_listing_only()
    {
        File.WriteAllText(Path.Combine(_folder, "secret"), "mine");
        foreach (string target in new[] { "../../secret", "/etc/passwd", "nothing", "l" })
        {
            GrpcException refused = Assert.Throws<GrpcException>(() => Sync(Store(), [Listed("l", Link, link: "/etc/passwd"), Listed("x", Plain, link: target)]));
            Assert.Equal(GrpcStatusCode.InvalidArgument, refused.Code);
        }
    }

    [Fact]
    public void Files_listed_twice_without_their_directory_or_with_content_nobody_asked_for_are_refused()
    {
        Assert.Throws<GrpcException>(() => Sync(Store(), [Listed("a", Plain, "1"), Listed("a", Plain, "2")]));
        Assert.Throws<GrpcException>(() => Sync(Store(), [Listed("a/b", Plain, "1")]));
        Assert.Throws<GrpcException>(() => Sync(Store(), [Listed("a", Plain), Listed("a/b", Plain, "1")]));
        ContextStore store = Store();
        using ContextTree tree = store.Take("dir", "all");
        using TreeWriter writer = new(tree, []);
        writer.List(Listed("a", Plain).Stat);
        Assert.Throws<GrpcException>(() => writer.Receive(0, "x"u8));
        Assert.Throws<GrpcException>(() => writer.Receive(7, "x"u8));
    }

    [Fact]
    public void What_was_interrupted_is_made_anew_and_what_changed_meanwhile_comes_again()
    {
        ContextStore store = Store();
        string path = Sync(store, [Listed("a", Plain, "one"), Listed("b", Plain, "two")]);
        ContextTree tree = store.Take("dir", "all");
        using (TreeWriter writer = new(tree, []))
        {
            Assert.NotNull(writer.List(Listed("a", Plain, "three").Stat));
        }

        Assert.Equal("", File.ReadAllText(Path.Combine(path, "a")));
        store.Return(tree);
        Assert.False(Directory.Exists(path));

        // Content that is not as long as was said was written while it was read.
        (FileStat grown, _) = Listed("a", Plain, "grown");
        Sync(store, [(grown, "grown more")]);
        ContextTree again = store.Take("dir", "all");
        using (TreeWriter writer = new(again, []))
        {
            Assert.NotNull(writer.List(Listed("a", Plain, "grown").Stat));
        }

        store.Return(again);
    }

    [Fact]
    public void Builds_at_the_same_time_have_trees_of_their_own_that_share_what_is_equal()
    {
        ContextStore store = Store();
        (FileStat, string) file = Listed("a", Plain, "one");
        Sync(store, [file]);
        ContextTree first = store.Take("dir", "all");
        ContextTree second = store.Take("dir", "all");
        Assert.NotEqual(first.FilesPath, second.FilesPath);
        IReadOnlyList<ContextTree> siblings = store.Siblings(second);
        using (TreeWriter writer = new(second, siblings))
        {
            Assert.Null(writer.List(file.Item1));
            writer.EndListing();
            writer.Finish();
        }

        Assert.Equal("one", File.ReadAllText(Path.Combine(second.FilesPath, "a")));
        Assert.Single(siblings).Dispose();
        store.Return(first);
        store.Return(second);
        Assert.Equal(2, store.List().Count);
        Assert.Equal(2, store.Trim(new ContextLimits(Trees: 0)).Count);
        Assert.Empty(store.List());
    }

    [Fact]
    public void Attributes_that_overlays_act_on_are_not_a_clients_to_set()
    {
        (FileStat directory, _) = Listed("d", Folder);
        directory.Attributes["trusted.overlay.opaque"] = ByteString.CopyFromUtf8("y");
        string path = Sync(Store(), [(directory, "")]);

        using var parent = new Slipway.Kernel.Files.HostPath(path).Open(Slipway.Kernel.Files.OpenFlags.Directory);
        Assert.Empty(Slipway.Kernel.Files.ExtendedAttributes.List(parent, "d"));
    }

    private ContextStore Store() => new(Path.Combine(_folder, "contexts"), TimeProvider.System, new ContextLimits());

    /// <summary>Makes a tree of files and their contents.</summary>
    /// <returns>Where it is.</returns>
    private static string Sync(ContextStore store, IReadOnlyList<(FileStat Stat, string Content)> files)
    {
        ContextTree tree = store.Take("dir", "all");
        string path = tree.FilesPath;
        try
        {
            using TreeWriter writer = new(tree, []);
            foreach ((FileStat stat, string content) in files)
            {
                if (writer.List(stat.Clone()) is { } id)
                {
                    writer.Receive(id, System.Text.Encoding.UTF8.GetBytes(content));
                    writer.Receive(id, []);
                }
            }

            writer.EndListing();
            writer.Finish();
            return path;
        }
        finally
        {
            store.Return(tree);
        }
    }

    private static (FileStat Stat, string Content) Listed(string path, uint mode, string content = "", string link = "") => (
        new FileStat { Path = ByteString.CopyFromUtf8(path), Mode = mode, Size = content.Length, Modified = 1_600_000_000_000_000_000, Link = ByteString.CopyFromUtf8(link) }, content);
}
