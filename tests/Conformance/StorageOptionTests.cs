using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`--storage-opt` and `--runtime`: what cannot be done is said as Docker says it.</summary>
public sealed class StorageOptionTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    [RunOption("--storage-opt")]
    public async Task A_size_needs_project_quotas()
    {
        var result = await Docker.Run("run", "--rm", "--storage-opt", "size=1g", "alpine", "true");
        Assert.Equal(125, result.ExitCode);
        Assert.Contains("--storage-opt is supported only for overlay over xfs with 'pquota' mount option", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    [RunOption("--runtime")]
    public async Task A_runtime_nobody_registered_is_refused() =>
        Assert.Contains("unknown or invalid runtime name: nosuch", (await Docker.Run("run", "--rm", "--runtime", "nosuch", "alpine", "true")).Error, StringComparison.Ordinal);

    [Fact]
    public async Task Our_own_runtime_is_known_by_name()
    {
        Assert.SkipUnless(IsSlipway, "Docker's own is runc");
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "--runtime", "slipway", "alpine", "echo", "hi"));
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "--runtime", "runc", "alpine", "echo", "hi"));
    }
}
