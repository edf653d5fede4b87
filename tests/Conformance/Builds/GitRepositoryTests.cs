using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>ADD of repositories, which git's own server serves.</summary>
public sealed class GitRepositoryTests(SharedEngine engine) : BuildTest(engine), IAsyncLifetime
{
    private readonly string _root = Directory.CreateTempSubdirectory("slipway-test-git-").FullName;
    private Process? _server;
    private string _address = "";
    private string _commit = "";

    public new async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        var work = $"{_root}/x.git";
        Directory.CreateDirectory($"{work}/folder");
        await Git(work, "init", "--quiet", "--initial-branch=main");
        await Commit("one");
        await File.WriteAllTextAsync($"{work}/.gitattributes", "left-out export-ignore\n", Cancellation);
        await File.WriteAllTextAsync($"{work}/left-out", "left out of archives only\n", Cancellation);
        await File.WriteAllTextAsync($"{work}/folder/program", "#!/bin/sh\n", Cancellation);
        File.SetUnixFileMode($"{work}/folder/program", (UnixFileMode)0x1ED);
        await Git(work, "add", ".");
        await Commit("two");
        await Git(work, "-c", "user.name=n", "-c", "user.email=e@example.com", "tag", "-a", "v1", "-m", "v1");
        _commit = (await Git(work, "rev-parse", "HEAD")).Trim();
        await Git(work, "config", "uploadpack.allowAnySHA1InWant", "true");
        using (TcpListener probe = new(IPAddress.Loopback, 0))
        {
            probe.Start();
            _address = $"git://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/x.git";
        }

        var program = Path.Combine((await Git("/", "--exec-path")).Trim(), "git-daemon");
        _server = Programs.Start(program, ["--export-all", $"--base-path={_root}", "--listen=127.0.0.1", $"--port={new Uri(_address).Port}", "--reuseaddr"]);
        for (var clock = Stopwatch.StartNew(); (await Programs.Run("git", ["ls-remote", _address])).ExitCode != 0;)
        {
            Assert.True(clock.Elapsed < Programs.Limit(20), "git's server does not answer");
            await Task.Delay(50, Cancellation);
        }

        Task<string> Commit(string subject) => Git(work, "-c", "user.name=n", "-c", "user.email=e@example.com", "commit", "--quiet", "--allow-empty", "-m", subject);
    }

    public new async ValueTask DisposeAsync()
    {
        _server?.Kill(entireProcessTree: true);
        _server?.Dispose();
        Directory.Delete(_root, recursive: true);
        await base.DisposeAsync();
    }

    [Theory]
    [InlineData("v1", "refs/tags/v1", "tags/v1")]
    [InlineData("main", "refs/remotes/origin/main", "remotes/origin/main")]
    public async Task A_repository_comes_with_its_history_where_that_is_kept(string reference, string name, string described)
    {
        var tree = await Added($"--keep-git-dir=true {_address}#{reference}");
        Assert.Equal("", await Git(tree, "status", "--porcelain"));
        Assert.Equal($"{_commit} two\n", await Git(tree, "log", "--format=%H %s"));
        Assert.Equal($"{_address}\n", await Git(tree, "config", "remote.origin.url"));
        Assert.Equal($"{name}\n", await Git(tree, "for-each-ref", "--format=%(refname)"));
        Assert.Equal($"{described}\n", await Git(tree, "describe", "--all"));
        await Git(tree, "fsck", "--strict");
    }

    [Fact]
    public async Task A_commit_is_kept_without_a_name()
    {
        var tree = await Added($"--keep-git-dir {_address}#{_commit}");
        Assert.Equal($"{_commit}\n", await Git(tree, "rev-parse", "HEAD"));
        Assert.Equal("", await Git(tree, "for-each-ref"));
        Assert.Equal("", await Git(tree, "status", "--porcelain"));
    }

    [Fact]
    public async Task What_is_kept_is_the_same_each_time()
    {
        var add = $"--keep-git-dir=true {_address}#v1";
        Assert.Equal(await Contents(await Added(add)), await Contents(await Added(add, "--no-cache")));

        async Task<string> Contents(string tree) => (await Programs.Run("sh", ["-c", "cd \"$1\" && find . -type f -exec sha256sum {} + | sort", "sh", tree])).Ok().Output;
    }

    [Fact]
    public async Task Without_it_and_of_a_folder_there_are_files_alone_as_a_checkout_has_them()
    {
        var tree = await Added(_address);
        Assert.Equal([".gitattributes", "folder", "left-out"], Directory.EnumerateFileSystemEntries(tree).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal((UnixFileMode)0x1A4, File.GetUnixFileMode($"{tree}/left-out"));
        Assert.Equal((UnixFileMode)0x1ED, File.GetUnixFileMode($"{tree}/folder/program"));
        Assert.Equal(["program"], Directory.EnumerateFileSystemEntries(await Added($"--keep-git-dir=true {_address}#v1:folder")).Select(Path.GetFileName));
    }

    /// <summary>What an ADD has made, out of the image.</summary>
    private async Task<string> Added(string sources, params string[] options)
    {
        var image = Image("git" + Guid.NewGuid().ToString("N")[..6]);
        (await Build($"FROM alpine\nADD {sources} /src/", ["-t", image, .. options])).Ok();
        var container = (await Docker.Ok("create", image, "true")).Trim();
        var folder = $"{_root}/{container}";
        await Docker.Ok("cp", "-q", $"{container}:/src", folder);
        await Docker.Ok("rm", container);
        return folder;
    }

    private static async Task<string> Git(string folder, params string[] arguments) => (await Programs.Run("git", ["-C", folder, .. arguments])).Ok().Output;
}
