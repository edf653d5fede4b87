using Slipway.Build.Graph;
using Slipway.Build.Solving;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>What the history of an image says that a step has made.</summary>
public sealed class HistoryCacheTests
{
    private static readonly BuiltLayer s_base = Layer("base");
    private static readonly BuiltLayer s_first = Layer("first");

    private static readonly KnownImage s_image = new(
        new ImageConfig
        {
            Architecture = "amd64",
            Os = "linux",
            RootFs = new RootFilesystem { DiffIds = [] },
            History = [Entry("base"), Entry("ENV A=1", empty: true), Entry("RUN make")],
        },
        [s_base, s_first]);

    [Fact]
    public void A_step_after_the_same_steps_is_found() =>
        Assert.Equal((s_first, DateTimeOffset.UnixEpoch), new HistoryCache([s_image]).Find(State([s_base], "base", "ENV A=1"), "RUN make"));

    [Fact]
    public void A_step_that_made_nothing_is_found_without_a_layer() => Assert.Equal((null, DateTimeOffset.UnixEpoch), new HistoryCache([s_image]).Find(State([s_base], "base"), "ENV A=1"));

    [Theory]
    [InlineData("RUN other", "base", "ENV A=1")]
    [InlineData("RUN make", "base", "ENV A=2")]
    [InlineData("RUN make", "base")]
    [InlineData("RUN make", "base", "ENV A=1", "RUN make")]
    public void A_step_or_one_before_that_is_another_is_not_found(string text, params string[] before) => Assert.Null(new HistoryCache([s_image]).Find(State([s_base], before), text));

    [Fact]
    public void A_base_with_the_same_history_and_other_files_is_another() => Assert.Null(new HistoryCache([s_image]).Find(State([Layer("other")], "base", "ENV A=1"), "RUN make"));

    [Fact]
    public void The_images_are_asked_one_after_the_other() =>
        Assert.NotNull(new HistoryCache([s_image with { Layers = [] }, s_image]).Find(State([s_base], "base", "ENV A=1"), "RUN make"));

    [Fact]
    public void A_time_that_is_none_is_no_step() =>
        Assert.Null(new HistoryCache([s_image with { Config = s_image.Config with { History = [Entry("base"), Entry("ENV A=1", empty: true) with { Created = "soon" }] } }]).Find(State([s_base], "base"), "ENV A=1"));

    private static BuiltLayer Layer(string name) => new(Digest.Of(System.Text.Encoding.UTF8.GetBytes(name)), Digest.Of(System.Text.Encoding.UTF8.GetBytes("d" + name)), 1);

    private static ImageHistory Entry(string text, bool empty = false) => new() { Created = "1970-01-01T00:00:00Z", CreatedBy = text, EmptyLayer = empty };

    private static StageState State(IReadOnlyList<BuiltLayer> layers, params string[] history) => new()
    {
        Platform = Platform.Host,
        Config = new ImageRunConfig(),
        Arguments = BuildArguments.Global(new Dictionary<string, string?>(), Platform.Host, Platform.Host, "x").Stage(),
        Layers = layers,
        History = [.. history.Select(text => Entry(text, text.StartsWith("ENV", StringComparison.Ordinal)))],
    };
}
