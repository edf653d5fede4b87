using Slipway.Build.Images;
using Slipway.Build.Syntax;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary><c>docker import</c> and <c>commit --change</c>.</summary>
public sealed class ChangeInstructionsTests
{
    [Fact]
    public void Commands_have_two_forms()
    {
        Assert.Equal(["/bin/sh", "-c", "echo $A"], ChangeInstructions.Apply(new ImageRunConfig(), ["CMD echo $A"]).Cmd);
        Assert.Equal(["echo", "a b"], ChangeInstructions.Apply(new ImageRunConfig(), ["cmd [\"echo\", \"a b\"]"]).Cmd);
        Assert.Equal(["/bin/sh", "-c", "[ -e x ]"], ChangeInstructions.Apply(new ImageRunConfig(), ["ENTRYPOINT [ -e x ]"]).Entrypoint);
    }

    [Fact]
    public void Variables_and_labels_add_up()
    {
        var run = ChangeInstructions.Apply(new ImageRunConfig(), ["ENV A=1 B='x y'", "ENV A=2", "ENV OLD form of it", "LABEL a=b \"c d\"=e", "LABEL a=z"]);
        Assert.Equal(["A=2", "B=x y", "OLD=form of it"], run.Env);
        Assert.Equal(["a=z", "c d=e"], run.Labels!.Select(label => $"{label.Key}={label.Value}"));
    }

    [Fact]
    public void The_rest_is_set()
    {
        var run = ChangeInstructions.Apply(new ImageRunConfig(), ["EXPOSE 80 53/UDP 8000-8002/tcp", "VOLUME [\"/a\", \"/b\"]", "VOLUME /c", "USER 1000:1000", "WORKDIR /a", "WORKDIR b", "STOPSIGNAL SIGINT", "ONBUILD RUN x"]);
        Assert.Equal(["80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp"], run.ExposedPorts!.Keys);
        Assert.Equal(["/a", "/b", "/c"], run.Volumes!.Keys);
        Assert.Equal(("1000:1000", "/a/b", "SIGINT", "RUN x"), (run.User, run.WorkingDir, run.StopSignal, Assert.Single(run.OnBuild!)));
    }

    [Fact]
    public void Health_checks_have_options()
    {
        var check = ChangeInstructions.Apply(new ImageRunConfig(), ["HEALTHCHECK --interval=1m30s --timeout=500ms --retries=2 CMD curl -f localhost"]).Healthcheck!;
        Assert.Equal(["CMD-SHELL", "curl -f localhost"], check.Test);
        Assert.Equal((90_000_000_000, 500_000_000, 2), (check.Interval, check.Timeout, check.Retries));
        Assert.Equal(["CMD", "x"], ChangeInstructions.Apply(new ImageRunConfig(), ["HEALTHCHECK CMD [\"x\"]"]).Healthcheck!.Test);
        Assert.Equal(["NONE"], ChangeInstructions.Apply(new ImageRunConfig(), ["HEALTHCHECK NONE"]).Healthcheck!.Test);
    }

    [Fact]
    public void Variables_are_replaced_where_a_Dockerfile_replaces_them()
    {
        var image = new ImageRunConfig { Env = ["PATH=/bin", "DIR=a b"] };
        var run = ChangeInstructions.Apply(
            image,
            [
                "ENV PATH=$PATH:/x ALL=\"${DIR}/c\" ONE='$DIR' TWO=\\$DIR NONE=$NOSUCH OR=${NOSUCH:-y} AND=${DIR:+z}", "WORKDIR /w/${PATH}/.././v", "LABEL l=$DIR",
                "CMD echo $DIR",
            ]);
        Assert.Equal(["PATH=/bin:/x", "DIR=a b", "ALL=a b/c", "ONE=$DIR", "TWO=$DIR", "NONE=", "OR=y", "AND=z"], run.Env);
        Assert.Equal(("/w/bin:/v", "a b"), (run.WorkingDir, run.Labels!["l"]));
        Assert.Equal(["/bin/sh", "-c", "echo $DIR"], run.Cmd);
    }

    [Fact]
    public void A_new_entry_point_takes_the_command_away()
    {
        var image = new ImageRunConfig { Cmd = ["old"] };
        Assert.Null(ChangeInstructions.Apply(image, ["ENTRYPOINT [\"x\"]"]).Cmd);
        Assert.Equal(["new"], ChangeInstructions.Apply(image, ["CMD [\"new\"]", "ENTRYPOINT [\"x\"]"]).Cmd);
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("SIGTERM")]
    [InlineData("sigint")]
    [InlineData("9")]
    [InlineData("RTMIN+3")]
    [InlineData("SIGRTMAX-14")]
    public void A_signal_has_names_and_a_number(string signal) => Assert.Equal(signal, ChangeInstructions.Apply(new ImageRunConfig(), [$"STOPSIGNAL {signal}"]).StopSignal);

    [Theory]
    [InlineData("ENV A=${B", "failed to process \"${B\": syntax error: missing '}'")]
    [InlineData("ENV A=${B=x}", "failed to process \"${B=x}\": unsupported modifier (=) in substitution")]
    [InlineData("EXPOSE 90-80", "invalid containerPort: 90-80")]
    [InlineData("RUN x", "RUN is not a valid change command")]
    [InlineData("NonSense x", "NonSense is not a valid change command")]
    [InlineData("NONSENSE", "NONSENSE is not a valid change command")]
    [InlineData("ENV", "ENV requires at least one argument")]
    [InlineData("ENV A", "ENV must have two arguments")]
    [InlineData("ENV A=1 B", "Syntax error - can't find = in \"B\". Must be of the form: name=value")]
    [InlineData("ENV A='1", "failed to process \"'1\": unexpected end of statement while looking for matching single-quote")]
    [InlineData("EXPOSE 70000", "invalid containerPort: 70000")]
    [InlineData("EXPOSE 80/icmp", "invalid proto: icmp")]
    [InlineData("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger")]
    [InlineData("HEALTHCHECK --interval=x CMD y", "time: invalid duration \"x\"")]
    [InlineData("HEALTHCHECK --interval=1us CMD y", "Interval \"interval\" cannot be less than 1ms")]
    [InlineData("HEALTHCHECK --nonsense=1 CMD y", "unknown flag: --nonsense")]
    [InlineData("HEALTHCHECK CMD", "missing command after HEALTHCHECK CMD")]
    [InlineData("STOPSIGNAL NOSUCH", "invalid signal: NOSUCH")]
    [InlineData("STOPSIGNAL 0", "invalid signal: 0")]
    [InlineData("STOPSIGNAL 65", "invalid signal: 65")]
    [InlineData("STOPSIGNAL RTMIN+31", "invalid signal: RTMIN+31")]
    [InlineData("USER", "USER requires exactly one argument")]
    public void What_cannot_be_is_refused(string change, string message)
    {
        Assert.Equal(message, Assert.Throws<DockerfileException>(() => ChangeInstructions.Apply(new ImageRunConfig(), [change])).Problem);
    }
}
