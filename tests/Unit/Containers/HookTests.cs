using Slipway.Engine;
using Slipway.Engine.Containers.Hooks;
using Slipway.Oci.Runtime;
using System.Text.Json;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

public sealed class HookTests
{
    private static readonly HookSpec s_hook = new("/usr/bin/hook", ["hook"]);

    private static readonly HooksSpec s_creation = new() { Prestart = [s_hook], CreateRuntime = [s_hook], CreateContainer = [s_hook] };

    [Fact]
    public void Hooks_of_a_creation_are_executed_outside_of_user_namespaces()
    {
        HookedLaunch.Require(s_creation, remapped: false);
        var error = Assert.Throws<EngineException>(() => HookedLaunch.Require(s_creation, remapped: true));
        Assert.Equal(ErrorKind.InvalidParameter, error.Kind);
        Assert.Contains("--userns=host", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("startContainer")]
    [InlineData("poststart")]
    [InlineData("poststop")]
    public void Hooks_of_other_moments_are_refused_by_name(string moment)
    {
        HooksSpec hooks = HooksSpec.Add(s_creation, [(moment, s_hook)])!;
        var error = Assert.Throws<EngineException>(() => HookedLaunch.Require(hooks, remapped: false));
        Assert.Contains($"the {moment} hook /usr/bin/hook needs a runtime of the host", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_hook_reads_is_the_specifications_state()
    {
        HookState state = new("1.2.0", "abc", HookState.Creating, 17, "/run/bundle", new Dictionary<string, string> { ["a"] = "b" });
        Assert.Equal(
            """{"ociVersion":"1.2.0","id":"abc","status":"creating","pid":17,"bundle":"/run/bundle","annotations":{"a":"b"}}""",
            JsonSerializer.Serialize(state, SpecJson.Default.HookState));
        Assert.Equal("""{"prestart":[{"path":"/usr/bin/hook","args":["hook"]}]}""", JsonSerializer.Serialize(new HooksSpec { Prestart = [s_hook] }, SpecJson.Default.HooksSpec));
    }
}
