using System.Text;
using System.Text.Json;
using Slipway.Build.Checks;
using Slipway.Server.BuildKit;
using Xunit;

namespace Slipway.Tests.Unit.BuildKit;

/// <summary>The document that buildx 0.15 and later read the report of build checks from.</summary>
public sealed class SubrequestDocumentTests
{
    private static JsonElement Document(string dockerfile) =>
        JsonDocument.Parse(Subrequests.Document(DockerfileChecker.Check("Dockerfile", dockerfile, new CheckRequest()))).RootElement;

    private static (int First, int Last) Lines(JsonElement of)
    {
        JsonElement range = Assert.Single(of.GetProperty("location").GetProperty("ranges").EnumerateArray());
        return (range.GetProperty("start").GetProperty("line").GetInt32(), range.GetProperty("end").GetProperty("line").GetInt32());
    }

    [Fact]
    public void It_names_rule_lines_and_source()
    {
        const string Text = "FROM alpine\nCMD a \\\n b\n";
        JsonElement document = Document(Text);
        JsonElement warning = Assert.Single(document.GetProperty("warnings").EnumerateArray());
        Assert.Equal("JSONArgsRecommended", warning.GetProperty("ruleName").GetString());
        Assert.EndsWith("/rule/json-args-recommended/", warning.GetProperty("url").GetString(), StringComparison.Ordinal);
        Assert.Equal((2, 3), Lines(warning));
        JsonElement source = Assert.Single(document.GetProperty("sources").EnumerateArray());
        Assert.Equal(("Dockerfile", Text), (source.GetProperty("filename").GetString(), Encoding.UTF8.GetString(source.GetProperty("data").GetBytesFromBase64())));
        Assert.False(document.TryGetProperty("buildError", out _));
    }

    [Fact]
    public void What_cannot_be_meant_has_its_place()
    {
        JsonElement error = Document("FROM alpine\nRNU true").GetProperty("buildError");
        Assert.Contains("unknown instruction: RNU", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal((2, 2), Lines(error));
    }
}
