using Slipway.Build.Solving;
using Slipway.Build.Syntax;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>How instructions are written into histories: what dockerd 26.1.5 shows with <c>docker history --no-trunc</c>.</summary>
public sealed class HistoryTextTests
{
    [Theory]
    [InlineData("HEALTHCHECK --interval=5s --timeout=2s --start-period=1s --retries=3 CMD true", "HEALTHCHECK &{[\"CMD-SHELL\" \"true\"] \"5s\" \"2s\" \"1s\" \"0s\" '\\x03'}")]
    [InlineData("HEALTHCHECK --interval=1m30s --timeout=500ms CMD [\"probe\", \"it\"]", "HEALTHCHECK &{[\"CMD\" \"probe\" \"it\"] \"1m30s\" \"500ms\" \"0s\" \"0s\" '\\x00'}")]
    [InlineData("HEALTHCHECK NONE", "HEALTHCHECK &{[\"NONE\"] \"0s\" \"0s\" \"0s\" \"0s\" '\\x00'}")]
    [InlineData("HEALTHCHECK --retries=65 CMD x", "HEALTHCHECK &{[\"CMD-SHELL\" \"x\"] \"0s\" \"0s\" \"0s\" \"0s\" 'A'}")]
    [InlineData("HEALTHCHECK --retries=10 CMD x", "HEALTHCHECK &{[\"CMD-SHELL\" \"x\"] \"0s\" \"0s\" \"0s\" \"0s\" '\\n'}")]
    [InlineData("HEALTHCHECK --retries=39 CMD x", "HEALTHCHECK &{[\"CMD-SHELL\" \"x\"] \"0s\" \"0s\" \"0s\" \"0s\" '\\''}")]
    [InlineData("EXPOSE 80 53/udp", "EXPOSE 53/udp 80")]
    [InlineData("CMD echo \"$0\"", "CMD [\"/bin/ash\" \"-c\" \"echo \\\"$0\\\"\"]")]
    [InlineData("ENTRYPOINT []", "ENTRYPOINT []")]
    public void An_instruction_is_described(string instruction, string described)
    {
        Instruction parsed = DockerfileParser.ParseInstructions(instruction, _ => { })[0];
        Assert.Equal(described, HistoryText.Describe(parsed, new ImageRunConfig { Shell = ["/bin/ash", "-c"] }, word => word));
    }

    [Theory]
    [InlineData(0, "0s")]
    [InlineData(0.000_001, "1µs")]
    [InlineData(0.001_5, "1.5ms")]
    [InlineData(1.5, "1.5s")]
    [InlineData(60, "1m0s")]
    [InlineData(3600, "1h0m0s")]
    [InlineData(90_061.25, "25h1m1.25s")]
    [InlineData(-2, "-2s")]
    public void A_duration_is_written_as_by_Go(double seconds, string text) => Assert.Equal(text, GoDuration.Format(TimeSpan.FromTicks((long)Math.Round(seconds * TimeSpan.TicksPerSecond))));
}
