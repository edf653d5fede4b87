using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Oci;

public sealed class PlatformPreferenceTests
{
    [Theory]
    [InlineData("linux/amd64", "linux/arm64 linux/amd64", "linux/amd64")]
    [InlineData("linux/amd64", "linux/386 linux/amd64", "linux/amd64")]
    [InlineData("linux/amd64", "linux/386", "linux/386")]
    [InlineData("linux/amd64", "linux/amd64/v3", null)]
    [InlineData("linux/amd64/v3", "linux/amd64 linux/amd64/v2 linux/amd64/v4 linux/amd64/v3", "linux/amd64/v3")]
    [InlineData("linux/amd64/v3", "linux/386 linux/amd64 linux/amd64/v2", "linux/amd64/v2")]
    [InlineData("linux/amd64/v3", "linux/amd64 linux/amd64/v4", "linux/amd64")]
    [InlineData("linux/arm64", "linux/arm/v7 linux/arm64/v8", "linux/arm64/v8")]
    [InlineData("linux/arm64", "linux/arm/v6 linux/arm/v7", "linux/arm/v7")]
    [InlineData("linux/arm64/v9", "linux/arm64 linux/arm64/v9", "linux/arm64/v9")]
    [InlineData("linux/arm", "linux/arm/v5 linux/arm/v8 linux/arm/v6", "linux/arm/v6")]
    [InlineData("linux/arm/v5", "linux/arm/v6", null)]
    [InlineData("linux/s390x", "linux/amd64 linux/s390x", "linux/s390x")]
    [InlineData("windows/amd64", "linux/amd64", null)]
    [InlineData("linux/amd64", "unknown/unknown", null)]
    [InlineData("linux/x/vnext", "linux/x/vnext", "linux/x/vnext")]
    public void The_best_of_an_index_is_chosen(string wanted, string offered, string? expected)
    {
        Descriptor[] manifests = [.. offered.Split(' ').Select(Of)];

        Assert.Equal(expected, new PlatformPreference(Parse(wanted)).Choose(manifests)?.Platform!.ToString());
    }

    [Fact]
    public void The_first_of_equals_is_chosen_and_one_without_platform_comes_last()
    {
        Descriptor none = Of("linux/amd64") with { Platform = null };
        Descriptor first = Of("linux/amd64") with { Size = 1 };
        PlatformPreference amd64 = new(Parse("linux/amd64"));

        Assert.Same(first, amd64.Choose([none, first, Of("linux/amd64")]));
        Assert.Same(none, amd64.Choose([Of("linux/arm64"), none]));
    }

    [Fact]
    public void Artifacts_and_indexes_are_no_images()
    {
        Descriptor image = Of("linux/amd64");

        Assert.Null(new PlatformPreference(Parse("linux/amd64")).Choose([image with { ArtifactType = "application/x" }, image with { MediaType = MediaTypes.OciIndex }]));
    }

    [Fact]
    public void This_host_runs_what_its_architecture_names() => Assert.True(PlatformPreference.Host.Accepts(Platform.Host));

    private static Platform Parse(string text) => text.Split('/') is var parts
        ? new Platform { Os = parts[0], Architecture = parts[1], Variant = parts.Length > 2 ? parts[2] : null }
        : throw new InvalidOperationException();

    private static Descriptor Of(string platform) => new() { MediaType = MediaTypes.OciManifest, Platform = Parse(platform) };
}
