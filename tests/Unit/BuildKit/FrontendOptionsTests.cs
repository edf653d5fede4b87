using Google.Protobuf;
using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;
using Slipway.BuildKit.Sessions;
using Slipway.Engine;
using Slipway.Grpc;
using Slipway.Server.BuildKit;
using Xunit;

namespace Slipway.Tests.Unit.BuildKit;

public sealed class FrontendOptionsTests
{
    [Fact]
    public void Options_become_parts_of_a_request()
    {
        FrontendOptions options = Options(
            ("filename", "D"), ("target", "t"), ("build-arg:A", "1"), ("build-arg:B", ""), ("label:l", "v"), ("context:base", "docker-image://alpine"), ("platform", "linux/arm64,linux/amd64,linux/aarch64"),
            ("no-cache", "one,two"), ("image-resolve-mode", "local"), ("force-network-mode", "host"), ("add-hosts", "a=1.2.3.4,b=::1"), ("shm-size", "65536"),
            ("ulimit", "nofile=1024:2048,core=0"), ("cgroup-parent", "/x"), ("build-arg:SOURCE_DATE_EPOCH", "1700000000"));

        Assert.Equal(("D", "t", "1", ""), (options.Filename, options.Target, options.Arguments["A"], options.Arguments["B"]));
        Assert.Equal(("v", "docker-image://alpine"), (options.Labels["l"], options.NamedContexts["base"]));
        Assert.Equal(["linux/arm64", "linux/amd64"], options.Platforms.Select(platform => platform.ToString()));
        Assert.False(options.NoCache);
        Assert.Equal(["one", "two"], options.NoCacheStages);
        Assert.Equal((false, "host", 65536L, "/x"), (options.Pull, options.NetworkMode, options.Limits.ShmSize, options.Limits.CgroupParent));
        Assert.Equal(["a:1.2.3.4", "b:::1"], options.ExtraHosts);
        Assert.Equal([("nofile", 1024L, 2048L), ("core", 0L, 0L)], options.Limits.Ulimits.Select(limit => (limit.Name, limit.Soft, limit.Hard)));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000), options.SourceDate);
    }

    [Fact]
    public void What_is_not_said_is_as_the_engine_has_it()
    {
        FrontendOptions options = Options(("no-cache", ""), ("force-network-mode", "default"), ("image-resolve-mode", "pull"));

        Assert.Equal(("Dockerfile", null, true, null, true, "context", null), (options.Filename, options.Target, options.NoCache, options.NetworkMode, options.Pull, options.ContextKey, options.Context));
        Assert.Empty(options.Platforms);
        Assert.Null(options.SourceDate);
        Assert.Empty(options.ExtraHosts);
    }

    [Theory]
    [InlineData("shm-size", "much")]
    [InlineData("shm-size", "-1")]
    [InlineData("ulimit", "nofile")]
    [InlineData("ulimit", "nofile=1:2:3")]
    [InlineData("ulimit", "=1")]
    [InlineData("add-hosts", "name")]
    [InlineData("build-arg:SOURCE_DATE_EPOCH", "yesterday")]
    [InlineData("build-arg:SOURCE_DATE_EPOCH", "999999999999999")]
    [InlineData("platform", "a/b/c/d")]
    public void A_value_that_cannot_be_meant_is_refused(string name, string value)
    {
        FrontendOptions options = Options((name, value));

        EngineException error = Assert.Throws<EngineException>(() => (options.Limits, options.ExtraHosts, options.SourceDate, options.Platforms));

        Assert.Equal(ErrorKind.InvalidParameter, error.Kind);
        Assert.Contains(value, error.Message, StringComparison.Ordinal);
    }

    /// <summary>A frontend from an image could start processes without being asked for the entitlement.</summary>
    [Theory]
    [InlineData("gateway.v0", "docker.io/evil/frontend:1")]
    [InlineData("gateway.v0", "docker/dockerfile.evil:1")]
    [InlineData("gateway.v0", "evil.example/docker/dockerfile:1")]
    [InlineData("gateway.v0", null)]
    [InlineData("other.v1", null)]
    [InlineData("", null)]
    public void CVE_2024_23653_A_frontend_that_is_a_program_is_not_run(string frontend, string? source)
    {
        FrontendRequest request = new() { Frontend = frontend };
        if (source is not null)
        {
            request.Options["source"] = source;
        }

        Assert.Equal(GrpcStatusCode.Unimplemented, Assert.Throws<GrpcException>(() => FrontendOptions.RequireDockerfile(request)).Code);
    }

    [Theory]
    [InlineData("docker/dockerfile:1")]
    [InlineData("docker.io/docker/dockerfile:1.7-labs")]
    [InlineData("docker/dockerfile@sha256:0123")]
    public void The_Dockerfile_frontends_own_images_mean_the_engine(string source) =>
        FrontendOptions.RequireDockerfile(new FrontendRequest { Frontend = "gateway.v0", Options = { ["source"] = source } });

    [Theory]
    [InlineData("")]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("a/../../b")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("./a")]
    [InlineData("a\0b")]
    public void A_path_that_could_lead_elsewhere_is_refused(string path) =>
        Assert.Equal(GrpcStatusCode.InvalidArgument, Assert.Throws<GrpcException>(() => FilePath.Check(ByteString.CopyFromUtf8(path))).Code);

    [Fact]
    public void Patterns_are_escaped_together_where_one_has_to_be()
    {
        Assert.Equal([("p", "a*"), ("p", "!b")], Metadata.Encode("p", ["a*", "!b"]).Select(field => (field.Key, field.Value)));
        Assert.Equal([("p", "a%2A"), ("p", "%C3%B6"), ("p-encoded", "1")], Metadata.Encode("p", ["a*", "ö"]).Select(field => (field.Key, field.Value)));
        Assert.Equal("p-encoded", Metadata.Encode("p", [" a"]).Last().Key);
    }

    private static FrontendOptions Options(params (string Name, string Value)[] options) => new(options.ToDictionary(option => option.Name, option => option.Value));
}
