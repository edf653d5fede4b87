using Slipway.Cli;
using Slipway.Cli.Roles;
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
}
