using System.CommandLine;
using Slipway.Client;

namespace Slipway.Cli;

/// <summary>Which engine a command speaks to.</summary>
internal static class Connection
{
    /// <summary>Clients use the last one given; the daemon listens on all of them.</summary>
    public static Option<string[]> Host { get; } = new("--host", "-H") { Description = "Engine socket to connect to (unix:///path or tcp://host:port)", Recursive = true };

    /// <summary><c>--host</c>, then SLIPWAY_HOST, then the default socket.</summary>
    public static EngineClient Open(ParseResult result) => new(Address(result));

    public static EngineAddress Address(ParseResult result) => result.GetValue(Host) is [.., var host] ? Parse(host) : AddressFromEnvironment();

    public static EngineAddress AddressFromEnvironment() =>
        Parse(Environment.GetEnvironmentVariable("SLIPWAY_HOST") is { Length: > 0 } host ? host : EngineAddress.Default);

    private static EngineAddress Parse(string text)
    {
        try
        {
            return EngineAddress.Parse(text);
        }
        catch (FormatException exception)
        {
            throw new CommandException(exception.Message);
        }
    }
}
