using Slipway.Cli;
using Slipway.Cli.Roles;
using Slipway.Engine;
using Xunit;

namespace Slipway.Tests.Unit.Cli;

public sealed class DaemonConfigurationTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void An_unknown_key_is_named()
    {
        File.WriteAllText(_path, """{"data-root":"/x","frobnicate":true}""");
        Assert.Contains("frobnicate", Assert.Throws<CommandException>(() => DaemonConfiguration.Read(_path, required: true)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_thing_in_flag_and_file_is_refused()
    {
        File.WriteAllText(_path, """{"data-root":"/x"}""");
        DaemonConfiguration file = DaemonConfiguration.Read(_path, required: true);
        Assert.Contains("data-root", Assert.Throws<CommandException>(() => new DaemonConfiguration { DataRoot = "/y" }.Over(file, _path)).Message, StringComparison.Ordinal);
        Assert.Equal("/x", new DaemonConfiguration { ExecRoot = "/y" }.Over(file, _path).DataRoot);
    }

    [Fact]
    public void The_disk_budget_is_said_in_one_place()
    {
        File.WriteAllText(_path, """{"disk-budget":"20GB"}""");
        DaemonConfiguration file = DaemonConfiguration.Read(_path, required: true);
        Assert.Equal("20GB", new DaemonConfiguration().Over(file, _path).DiskBudget);
        Assert.Contains("disk-budget", Assert.Throws<CommandException>(() => new DaemonConfiguration { DiskBudget = "1GB" }.Over(file, _path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_an_error_only_where_it_was_named()
    {
        Assert.Null(DaemonConfiguration.Read("/nonexistent/daemon.json", required: false).DataRoot);
        Assert.Throws<CommandException>(() => DaemonConfiguration.Read("/nonexistent/daemon.json", required: true));
    }

    [Fact]
    public void Malformed_json_is_refused()
    {
        File.WriteAllText(_path, "{");
        Assert.Throws<CommandException>(() => DaemonConfiguration.Read(_path, required: false));
    }

    [Theory]
    [InlineData("""{"layer-peers":["10.0.0.2:2390"]}""", "layer-tls")]
    [InlineData("""{"layer-share":"127.0.0.1:2390"}""", "layer-tls")]
    [InlineData("""{"layer-peers":["nowhere"],"layer-tls":{"ca":"a","cert":"b","key":"c"}}""", "nowhere")]
    public void Sharing_of_layers_that_cannot_be_meant_is_refused(string json, string named)
    {
        File.WriteAllText(_path, json);
        DaemonConfiguration configuration = DaemonConfiguration.Read(_path, required: true);
        Assert.Contains(named, Assert.Throws<CommandException>(() => RegistryDirectives.Apply(configuration, new EngineOptions())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sharing_of_layers_is_off_unless_configured()
    {
        EngineOptions options = RegistryDirectives.Apply(new DaemonConfiguration(), new EngineOptions());
        Assert.Empty(options.Peers.Peers);
        Assert.Null(options.Peers.Listen);
        File.WriteAllText(_path, """{"layer-peers":["10.0.0.2:2390"],"layer-share":"127.0.0.1:2390","layer-tls":{"ca":"a","cert":"b","key":"c"}}""");
        options = RegistryDirectives.Apply(new DaemonConfiguration().Over(DaemonConfiguration.Read(_path, required: true), _path), new EngineOptions());
        Assert.Equal(["10.0.0.2:2390"], options.Peers.Peers);
        Assert.Equal("127.0.0.1:2390", options.Peers.Listen);
        Assert.Equal("b", options.Peers.Tls!.Certificate);
    }
}
