using System.Formats.Tar;
using System.Text;
using Slipway.Engine;
using Slipway.Engine.Builds.Sources;
using Xunit;

namespace Slipway.Tests.Unit.Builds;

public sealed class SourceTreeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-test-").FullName;

    public SourceTreeTests() => Directory.CreateDirectory($"{_folder}/tmp");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private SourceTree Tree(params (string Name, string? Link, string? Content)[] entries) => Tree(ArchiveBudget.MaximumMemory, entries);

    private SourceTree Tree(long memory, (string Name, string? Link, string? Content)[] entries)
    {
        using MemoryStream archive = new();
        using (TarWriter writer = new(archive, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach ((string name, string? link, string? content) in entries)
            {
                PaxTarEntry entry = new(link is not null ? TarEntryType.SymbolicLink : content is null ? TarEntryType.Directory : TarEntryType.RegularFile, name);
                if (link is not null)
                {
                    entry.LinkName = link;
                }
                else if (content is not null)
                {
                    entry.DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content));
                }

                writer.WriteEntry(entry);
            }
        }

        archive.Position = 0;
        SpoolDirectory spools = new(_folder);
        return ArchiveTree.Read(spools.Fill(archive, default), spools, default, memory);
    }

    private static string? Content(SourceNode? node)
    {
        if (node is null)
        {
            return null;
        }

        using StreamReader reader = new(node.Open());
        return reader.ReadToEnd();
    }

    [Theory]
    [InlineData("a/b", "file")]
    [InlineData("/a/./b", "file")]
    [InlineData("a/../a/b", "file")]
    [InlineData("../../a/b", "file")]
    [InlineData("link", "file")]
    [InlineData("absolute", "file")]
    [InlineData("out", "file")]
    [InlineData("folder/b", "file")]
    [InlineData("nosuch", null)]
    [InlineData("dangling", null)]
    public void Links_lead_within_the_tree_only(string path, string? expected)
    {
        using SourceTree tree = Tree(
            ("a/", null, null), ("a/b", null, "file"), ("link", "a/b", null), ("absolute", "/a/b", null), ("out", "../../../a/b", null), ("folder", "a", null), ("dangling", "/etc/passwd", null));
        Assert.Equal(expected, Content(tree.Find(path)));
    }

    [Fact]
    public void A_loop_of_links_is_an_error()
    {
        using SourceTree tree = Tree(("x", "y", null), ("y", "x", null));
        Assert.Contains("too many links", Assert.Throws<EngineException>(() => tree.Find("x")).Message, StringComparison.Ordinal);
        Assert.Contains("too many links", Assert.Throws<EngineException>(() => tree.Resolve("x/z")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("*.txt", "a.txt b.txt")]
    [InlineData("?.txt", "a.txt b.txt")]
    [InlineData("[a]*", "a.txt")]
    [InlineData("d*/*", "d/c")]
    [InlineData("*/nosuch", "")]
    public void Patterns_match_component_by_component(string pattern, string expected)
    {
        using SourceTree tree = Tree(("a.txt", null, ""), ("b.txt", null, ""), ("d/", null, null), ("d/c", null, ""));
        Assert.Equal(expected, string.Join(' ', tree.Match(pattern).Select(match => match.Node.Path)));
    }

    [Theory]
    [InlineData("link", "link=a.txt")]
    [InlineData("l*", "link=a.txt")]
    [InlineData("folder/link", "link=a.txt")]
    [InlineData("folder/../a.txt", "a.txt=a.txt")]
    [InlineData("folder/..", "=")]
    public void A_link_keeps_its_own_name(string pattern, string expected)
    {
        using SourceTree tree = Tree(("a.txt", null, ""), ("link", "a.txt", null), ("folder/", null, null), ("folder/link", "/a.txt", null));
        Assert.Equal(expected, string.Join(' ', tree.Match(pattern).Select(match => $"{match.Name}={match.Node.Path}")));
    }

    [Fact]
    public void A_destination_is_found_through_links_and_beyond_what_is_there()
    {
        using SourceTree tree = Tree(("usr/", null, null), ("usr/bin/", null, null), ("bin", "usr/bin", null), ("gone", "/not/there", null));
        Assert.Equal("usr/bin/tool", tree.Resolve("/bin/tool").Path);
        Assert.Equal("not/there/x", tree.Resolve("/gone/x").Path);
        Assert.Equal("etc", tree.Resolve("/../../etc").Path);
    }

    [Fact]
    public void An_entry_that_leads_out_of_the_archive_is_an_error() =>
        Assert.Contains("outside of the context", Assert.Throws<EngineException>(() => Tree(("../x", null, "")).Dispose()).Message, StringComparison.Ordinal);

    [Fact]
    public void What_lies_behind_a_link_of_the_archive_replaces_it()
    {
        using SourceTree tree = Tree(("d", "/etc", null), ("d/passwd", null, "own"));
        Assert.Equal("own", Content(tree.Find("d/passwd")));
    }

    /// <summary>A name of two kilobytes may be a thousand directories.</summary>
    [Fact]
    public void Directories_that_names_lead_through_are_counted()
    {
        (string, string?, string?)[] entries = [.. Enumerable.Range(0, 3).Select(i => ($"{i}{string.Concat(Enumerable.Repeat("/d", 1000))}", (string?)null, (string?)""))];
        using SourceTree tree = Tree(entries);
        EngineException error = Assert.Throws<EngineException>(() => Tree(memory: 1 << 20, entries));
        Assert.Equal((ErrorKind.InvalidParameter, true), (error.Kind, error.Message.StartsWith("the archive has too many files", StringComparison.Ordinal)));
    }

    [Fact]
    public void Attributes_are_counted()
    {
        ArchiveBudget budget = new(1 << 20, ArchiveBudget.MaximumMemory);
        Slipway.Oci.Tar.TarEntry entry = new() { Name = [1], Xattrs = [new("user.x"u8.ToArray(), new byte[64 << 20])] };
        EngineException error = Assert.Throws<EngineException>(() =>
        {
            for (int i = 0; i < 16; i++)
            {
                budget.Add(entry);
            }
        });
        Assert.Equal(ErrorKind.InvalidParameter, error.Kind);
    }

    [Theory]
    [InlineData(1 << 20, 1L << 30, 1, false)]
    [InlineData(1 << 20, 1L << 30, 2, true)]
    [InlineData(10 << 20, 1L << 30, 2, false)]
    [InlineData(1 << 20, long.MaxValue, 3, true)]
    [InlineData(1L << 40, 1L << 40, 1, false)]
    [InlineData(1L << 40, (1L << 40) + 1, 1, true)]
    public void Holes_are_counted(long length, long size, int files, bool refused)
    {
        ArchiveBudget budget = new(length, ArchiveBudget.MaximumMemory);
        Slipway.Oci.Tar.TarEntry entry = new() { Name = [1], Size = size, Sparse = [] };
        Exception? error = Record.Exception(() =>
        {
            for (int i = 0; i < files; i++)
            {
                budget.Add(entry);
            }
        });
        Assert.Equal(refused, error is EngineException { Kind: ErrorKind.InvalidParameter });
    }

    [Theory]
    [InlineData("https://h/x.git", "https://h/x.git HEAD ")]
    [InlineData("https://h/x.git#v1:a/b", "https://h/x.git v1 a/b")]
    [InlineData("git@h:x.git#:sub", "git@h:x.git HEAD sub")]
    [InlineData("github.com/a/b", "https://github.com/a/b HEAD ")]
    public void Addresses_of_repositories(string address, string expected)
    {
        (string remote, string reference, string folder) = GitRepository.Parse(address);
        Assert.Equal(expected, $"{remote} {reference} {folder}");
    }

    [Theory]
    [InlineData("https://h/x.git", "https://h/x.git")]
    [InlineData("https://user:pass@h/x.git", "https://h/x.git")]
    [InlineData("https://token@h:8443/x.git", "https://h:8443/x.git")]
    [InlineData("https://user%3Apass@h/x.git", "https://h/x.git")]
    [InlineData("ssh://git@h/x.git", "ssh://git@h/x.git")]
    [InlineData("ssh://git:pass@h:22/x.git", "ssh://git@h:22/x.git")]
    [InlineData("git@h:x.git", "git@h:x.git")]
    [InlineData("https://h/a\"b\\c.git", "https://h/a\\\"b\\\\c.git")]
    public void What_is_kept_of_a_repository_names_its_address_without_credentials(string address, string expected) =>
        Assert.Contains($"\turl = \"{expected}\"\n", GitRepository.Configuration(address), StringComparison.Ordinal);

    [Theory]
    [InlineData("--upload-pack=touch /x.git")]
    [InlineData("https://h/x.git#--upload-pack=x")]
    [InlineData("https://h/x.git#main:../../etc")]
    [InlineData("https://h/x.git#main:--output=/x")]
    [InlineData("ssh://-oProxyCommand=x/y.git")]
    [InlineData("git@-oProxyCommand=x:y.git")]
    [InlineData("file:///etc/x.git")]
    [InlineData("ext::sh -c x")]
    public void Addresses_and_references_of_repositories_are_no_options(string address) => Assert.Throws<EngineException>(() => GitRepository.Parse(address));
}
