using Slipway.Build.Checks;
using Slipway.Build.Context;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>The rules of build checks; each is tried with what it finds and with what it must let pass.</summary>
public sealed class CheckTests
{
    private const string Experimental = "# check=experimental=all\n";

    private static CheckReport Check(string text, CheckRequest? request = null) => DockerfileChecker.Check("Dockerfile", text, request ?? new CheckRequest());

    private static string Found(string text, CheckRequest? request = null) =>
        string.Join(' ', Check(text, request).Warnings.Select(warning => $"{warning.Rule.Name}:{warning.Lines.First}"));

    [Theory]
    [InlineData("FROM alpine AS Base", "StageNameCasing:1")]
    [InlineData("FROM alpine AS base", "")]
    [InlineData("FROM alpine as base", "FromAsCasing:1")]
    [InlineData("from alpine AS base", "FromAsCasing:1")]
    [InlineData("from alpine as base", "")]
    [InlineData("From alpine as base", "ConsistentInstructionCasing:1")]
    [InlineData("FROM alpine\nRUN a \\\n\n  b", "NoEmptyContinuation:3")]
    [InlineData("FROM alpine\nRUN a \\\n  # a comment\n  b", "")]
    [InlineData("FROM alpine\nrun a\nUSER b", "ConsistentInstructionCasing:2")]
    [InlineData("from alpine\nrun a\nUSER b", "ConsistentInstructionCasing:3")]
    [InlineData("FROM alpine\nRun a", "ConsistentInstructionCasing:2")]
    [InlineData("FROM alpine AS a\nFROM alpine AS A", "DuplicateStageName:2 StageNameCasing:2")]
    [InlineData("FROM alpine AS scratch", "ReservedStageName:1")]
    [InlineData("FROM alpine AS context", "ReservedStageName:1")]
    [InlineData("FROM alpine\nCMD run me", "JSONArgsRecommended:2")]
    [InlineData("FROM alpine\nENTRYPOINT run me", "JSONArgsRecommended:2")]
    [InlineData("FROM alpine\nCMD [\"run\", \"me\"]", "")]
    [InlineData("FROM alpine\nSHELL [\"/bin/bash\", \"-c\"]\nCMD run me", "")]
    [InlineData("FROM alpine\nMAINTAINER me", "MaintainerDeprecated:2")]
    [InlineData("FROM alpine:$TAG", "InvalidDefaultArgInFrom:1 UndefinedArgInFrom:1")]
    [InlineData("ARG TAG=3\nFROM alpine:$TAG", "")]
    [InlineData("FROM --platform=$BUILDPLATFORM alpine", "")]
    [InlineData("FROM --platform=$BILDPLATFORM alpine", "UndefinedArgInFrom:1")]
    [InlineData("FROM alpine:${TAG:-3}", "")]
    [InlineData("ARG TAG\nFROM alpine:$TAG", "InvalidDefaultArgInFrom:2")]
    [InlineData("ARG TAG\nFROM alpine:${TAG:?is needed}", "")]
    [InlineData("FROM alpine\nWORKDIR app\nWORKDIR more", "WorkdirRelativePath:2")]
    [InlineData("FROM alpine\nWORKDIR /app\nWORKDIR more", "")]
    [InlineData("FROM alpine AS a\nWORKDIR /app\nFROM a\nWORKDIR more", "")]
    [InlineData("FROM scratch\nCOPY $foo .", "UndefinedVar:2")]
    [InlineData("FROM scratch\nARG foo\nCOPY $foo .", "")]
    [InlineData("FROM scratch\nENV A=1 B=$A", "UndefinedVar:2")]
    [InlineData("FROM scratch\nENV A=1\nENV B=$A C='$D' E=\\$F G=${H:-x} I=$PATH J=$http_proxy", "")]
    [InlineData("FROM scratch\nENV A='\"'$B", "UndefinedVar:2")]
    [InlineData("FROM scratch\nENV A=\"'$B'\"", "UndefinedVar:2")]
    [InlineData("FROM scratch\nENV A=${B#x}", "UndefinedVar:2")]
    [InlineData("ARG A=1\nFROM scratch\nENV B=$A", "UndefinedVar:3")]
    [InlineData("FROM scratch\nENV B=$TARGETARCH", "UndefinedVar:2")]
    [InlineData("FROM scratch AS a\nARG X\nFROM a\nENV B=$X", "")]
    [InlineData("FROM alpine\nENV B=$JAVA_HOME/bin", "")]
    [InlineData("FROM alpine\nARG VERSION\nENV B=$VERSON", "UndefinedVar:3")]
    [InlineData("FROM scratch\nRUN echo $anything", "")]
    [InlineData("FROM alpine\nCMD [\"a\"]\nCMD [\"b\"]\nFROM alpine\nCMD [\"c\"]", "MultipleInstructionsDisallowed:2")]
    [InlineData("FROM alpine\nHEALTHCHECK NONE\nHEALTHCHECK CMD true\nENTRYPOINT [\"a\"]\nENTRYPOINT [\"b\"]", "MultipleInstructionsDisallowed:2 MultipleInstructionsDisallowed:4")]
    [InlineData("FROM alpine\nENV a b\nLABEL c d", "LegacyKeyValueFormat:2 LegacyKeyValueFormat:3")]
    [InlineData("FROM --platform=$TARGETPLATFORM alpine", "RedundantTargetPlatform:1")]
    [InlineData("FROM --platform=\"${TARGETPLATFORM}\" alpine", "RedundantTargetPlatform:1")]
    [InlineData("FROM --platform=linux/arm64 alpine", "FromPlatformFlagConstDisallowed:1")]
    [InlineData("FROM --platform=linux/arm64 alpine AS build_arm64", "")]
    [InlineData("FROM scratch\nARG AWS_SECRET_ACCESS_KEY\nENV PASSWORD=x public_key=y TOKEN_FILE=z MONKEY=m", "SecretsUsedInArgOrEnv:2 SecretsUsedInArgOrEnv:3")]
    [InlineData("ARG API_TOKEN\nFROM scratch", "SecretsUsedInArgOrEnv:1")]
    [InlineData("FROM alpine\nEXPOSE 80/TCP 81/udp", "ExposeProtoCasing:2")]
    [InlineData("FROM alpine\nEXPOSE 127.0.0.1:80:80 8080-8090/tcp", "ExposeInvalidFormat:2")]
    public void Each_rule_finds_what_it_is_about(string text, string found) => Assert.Equal(found, Found(text));

    [Theory]
    [InlineData("# about nothing\nFROM alpine AS base\n# else\nARG A", "InvalidDefinitionDescription:3 InvalidDefinitionDescription:5")]
    [InlineData("# base is a stage\nFROM alpine AS base\n# A says more\n# in two lines\nARG A", "")]
    [InlineData("# about nothing\n\nFROM alpine AS base", "")]
    [InlineData("# about nothing\nFROM alpine", "")]
    public void Comments_above_a_definition_begin_with_its_name(string text, string found)
    {
        Assert.Equal(found, Found(Experimental + text));
        Assert.Equal("", Found(text));
    }

    [Fact]
    public void What_is_left_out_of_the_context_cannot_be_copied()
    {
        const string Text = Experimental + "FROM alpine\nCOPY a.log ./d/x keep /to/\nADD d /to/\nCOPY --from=alpine a.log /\nCOPY *.log /to/";
        Assert.Equal("CopyIgnoredFile:3 CopyIgnoredFile:3 CopyIgnoredFile:4", Found(Text, new CheckRequest { Ignore = IgnoreFile.Parse("*.log\nd") }));
        Assert.Equal("", Found(Text, new CheckRequest { Ignore = IgnoreFile.Parse("*.log\n!keep.log") }));
        Assert.Equal("", Found(Text));
    }

    [Fact]
    public void The_environment_of_a_base_image_is_known_where_somebody_knows_it()
    {
        CheckRequest request = new() { EnvironmentOf = image => image == "jdk:17" ? ["JAVA_HOME=/jdk", "X="] : null };
        Assert.Equal("UndefinedVar:4", Found("ARG V=17\nFROM jdk:$V\nENV A=$JAVA_HOME B=$X\nENV C=$NOSUCH", request));
    }

    [Theory]
    [InlineData("# check=skip=JSONArgsRecommended", "StageNameCasing:2", false)]
    [InlineData("# check=skip=jsonargsrecommended,StageNameCasing", "", false)]
    [InlineData("# check=skip=all", "", false)]
    [InlineData("# check=error=true", "StageNameCasing:2 JSONArgsRecommended:3", true)]
    [InlineData("# check = skip=StageNameCasing ; error=1", "JSONArgsRecommended:3", true)]
    public void The_Dockerfile_says_what_is_looked_at(string directive, string found, bool isError)
    {
        CheckReport report = Check($"{directive}\nFROM alpine AS A\nCMD a");
        Assert.Equal((found, isError), (string.Join(' ', report.Warnings.Select(warning => $"{warning.Rule.Name}:{warning.Lines.First}")), report.IsError));
    }

    [Theory]
    [InlineData("nosuch=1")]
    [InlineData("skip")]
    [InlineData("skip=")]
    [InlineData("error=maybe")]
    public void A_selection_that_cannot_be_meant_is_an_error(string selection)
    {
        CheckReport report = Check($"# check={selection}\nFROM alpine");
        Assert.True(report.IsError);
        Assert.Contains("check option", report.Error?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_build_argument_goes_before_the_directive() =>
        Assert.Equal("", Found("# check=error=true\nFROM alpine AS A", new CheckRequest { Arguments = new Dictionary<string, string?> { ["BUILDKIT_DOCKERFILE_CHECK"] = "skip=all" } }));

    [Fact]
    public void What_cannot_be_meant_is_told_with_its_place()
    {
        CheckReport report = Check("FROM alpine\nRNU true");
        Assert.Empty(report.Warnings);
        Assert.Equal("dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)", report.Error?.Message);
        Assert.Contains("   2 | >>> RNU true", report.Display(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_report_shows_rule_page_and_lines()
    {
        CheckReport report = Check("FROM alpine\nUSER a\nCMD a \\\n b\nEXPOSE 80");
        Assert.Equal(
            """

            WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
            CMD and ENTRYPOINT are to be lists, so that signals reach the program and not a shell
              CMD is executed by a shell, which does not pass signals on
            Dockerfile:3
            --------------------
               2 |     USER a
               3 | >>> CMD a \
               4 | >>>  b
               5 |     EXPOSE 80
            --------------------

            """,
            report.Display());
        Assert.Equal("lint violation found for rules: JSONArgsRecommended", report.Violations);
    }

    [Fact]
    public void Every_rule_has_the_page_that_Docker_gave_it()
    {
        Assert.Equal(21, CheckRule.All.Count);
        Assert.Equal(
            ["from-as-casing", "no-empty-continuation", "json-args-recommended", "undefined-arg-in-from", "secrets-used-in-arg-or-env", "expose-proto-casing"],
            ((CheckRule[])[CheckRule.FromAsCasing, CheckRule.NoEmptyContinuation, CheckRule.JsonArgsRecommended, CheckRule.UndefinedArgInFrom, CheckRule.SecretsUsedInArgOrEnv, CheckRule.ExposeProtoCasing])
                .Select(rule => rule.Url.TrimEnd('/').Split('/')[^1]));
    }
}
