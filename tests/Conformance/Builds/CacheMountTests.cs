using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>What a cache of <c>RUN --mount=type=cache</c> begins with.</summary>
public sealed class CacheMountTests(SharedEngine engine) : BuildTest(engine)
{
    private readonly string _id = Guid.NewGuid().ToString("N");

    [Fact]
    public async Task A_new_cache_has_the_content_of_a_stage_and_keeps_what_steps_add()
    {
        string Of(string end) => $$"""
            FROM alpine AS seed
            RUN mkdir -p /seed/sub && echo first > /seed/sub/file && chown -R 1000:1001 /seed/sub && chmod 2750 /seed/sub && echo other > /other
            FROM alpine
            RUN --mount=type=cache,id={{_id}},from=seed,source=/seed/sub,target=/c stat -c '%a %u:%g' /c /c/file > /out && cat /c/file >> /out && echo again >> /c/file{{end}}
            """;
        Assert.Equal("2750 1000:1001\n644 1000:1001\nfirst\n", await Shown(Of(""), "cat /out; ls -A /c 2>/dev/null; true"));

        // The content is what a cache begins with, not what it is.
        Assert.Equal("2750 1000:1001\n644 1000:1001\nfirst\nagain\n", await Shown(Of(" && :"), "cat /out"));
    }

    [Fact]
    public async Task Other_content_is_another_cache()
    {
        string Of(string content, string after) => $"FROM alpine AS seed\nRUN mkdir /s && echo {content} > /s/f\nFROM alpine\nRUN --mount=type=cache,id={_id},from=seed,source=s,target=/c cat /c/f > /out; {after}";
        Assert.Equal("one\n", await Shown(Of("one", "echo changed > /c/f"), "cat /out"));
        Assert.Equal("two\n", await Shown(Of("two", ":"), "cat /out"));
        Assert.Equal("changed\n", await Shown(Of("one", ": later"), "cat /out"));
    }

    [Fact]
    public async Task An_image_is_content_too() =>
        Assert.Equal("root\n", await Shown($"FROM alpine\nRUN --mount=type=cache,id={_id},from=alpine,source=/etc,target=/c head -1 /c/passwd | cut -d: -f1 > /out", "cat /out"));

    [Theory]
    [InlineData("", "755 0:0")]
    [InlineData(",uid=1000", "755 1000:0")]
    [InlineData(",gid=1001,mode=0700", "700 0:1001")]
    [InlineData(",uid=1,gid=2,mode=1777", "1777 1:2")]
    public async Task A_new_cache_has_the_owner_and_mode_that_is_asked_for(string options, string expected) =>
        Assert.Equal(expected + "\n", await Shown($"FROM alpine\nRUN --mount=type=cache,id={_id},target=/c{options} stat -c '%a %u:%g' /c > /out", "cat /out"));

    [Fact]
    public async Task Owner_and_mode_are_those_of_a_new_cache_only()
    {
        Assert.Equal("700 5:6 1000\n", await Shown(
            $"FROM alpine AS seed\nRUN mkdir /s && echo x > /s/f && chown 1000 /s/f\nFROM alpine\nRUN --mount=type=cache,id={_id},from=seed,source=s,target=/c,uid=5,gid=6,mode=0700 echo $(stat -c '%a %u:%g' /c) $(stat -c %u /c/f) > /out",
            "cat /out"));
        Assert.Equal("755 0:0\n", await Shown($"FROM alpine\nRUN --mount=type=cache,id={_id},target=/c stat -c '%a %u:%g' /c > /out", "cat /out"));
        Assert.Equal("755 0:0\n", await Shown($"FROM alpine\nRUN --mount=type=cache,id={_id},target=/c,uid=7,mode=0700 stat -c '%a %u:%g' /c > /out", "cat /out"));
    }

    [Theory]
    [InlineData("missing", "\"/missing\": not found")]
    [InlineData("file", "\"/file\": not a directory")]
    [InlineData("out", "\"/out\": a link leads out of what is mounted")]
    public async Task Content_that_is_not_there_ends_the_build(string source, string message)
    {
        string Of(string from) => $"FROM alpine AS seed\nRUN echo > /file && ln -s /etc /out && mkdir /there\nFROM alpine\nRUN --mount=type=cache,id={_id},from=seed,source={from},target=/c ls -A /c";
        (await Build(Of(source))).Exited(1).Says(message);
        (await Build(Of("there"))).Ok();
    }
}
