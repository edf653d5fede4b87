using Slipway.Engine;
using Slipway.Engine.Builds;
using Xunit;

namespace Slipway.Tests.Unit.Builds;

/// <summary>The options of attestations (docs.docker.com/build/metadata/attestations/slsa-provenance).</summary>
public sealed class AttestationRequestTests
{
    [Theory]
    [InlineData(null, null)]
    [InlineData("", "min||False")]
    [InlineData("mode=max", "max||False")]
    [InlineData("mode=min,builder-id=https://example.org/1,reproducible=true", "min|https://example.org/1|True")]
    [InlineData("disabled=true", null)]
    [InlineData("mode=min,inline-only=true", null)]
    public void Provenance_is_asked_for(string? options, string? expected)
    {
        AttestationRequest request = AttestationRequest.Parse(options, null);
        Assert.Equal(expected, request.Provenance is { } provenance ? $"{(provenance.IsMaximal ? "max" : "min")}|{provenance.BuilderId}|{provenance.IsReproducible}" : null);
        Assert.Equal(expected is null, request.IsEmpty);
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("", true)]
    [InlineData("disabled=true", false)]
    public void A_bill_of_materials_is_asked_for(string? options, bool expected) => Assert.Equal(expected, AttestationRequest.Parse(null, options).Packages);

    [Theory]
    [InlineData("mode=most", null, "invalid mode \"most\"")]
    [InlineData("version=v1", null, "provenance version \"v1\" is not supported")]
    [InlineData(null, "generator=docker/scout", "SBOM generator docker/scout is not supported")]
    public void What_cannot_be_told_is_refused(string? provenance, string? sbom, string expected) =>
        Assert.Contains(expected, Assert.Throws<EngineException>(() => AttestationRequest.Parse(provenance, sbom)).Message, StringComparison.Ordinal);
}
