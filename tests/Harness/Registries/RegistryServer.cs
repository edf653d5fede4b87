using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Slipway.Tests.Harness.Registries;

/// <summary>A registry that runs for some tests, on a loopback port, with a root of its own.</summary>
public abstract class RegistryServer : IAsyncLifetime
{
    private readonly bool _withUsers;
    private Process? _process;

    /// <param name="withUsers">Whether it wants to know who asks: the user alice with the password <see cref="Password"/>.</param>
    protected RegistryServer(bool withUsers)
    {
        _withUsers = withUsers;
        Root = Directory.CreateTempSubdirectory("slipway-registry-").FullName;
        Port = FreePort();
    }

    public static string User => "alice";

    public static string Password => "wonder-4711-land";

    public int Port { get; }

    /// <summary>What names of its images begin with.</summary>
    public string Host => $"localhost:{Port}";

    public RegistryHttp Http => new(Host, _withUsers ? (User, Password) : null);

    protected string Root { get; }

    protected string UserFile => Path.Combine(Root, "htpasswd");

    public virtual async ValueTask InitializeAsync()
    {
        if (_withUsers)
        {
            Requirement.Program("htpasswd", "apache2-utils");
            await File.WriteAllTextAsync(UserFile, (await Programs.Run("htpasswd", ["-Bbn", User, Password])).Ok().Output);
        }
        await Start();
    }

    /// <summary>Starts it, again after <see cref="Kill"/>, on the same port and root.</summary>
    public async Task Start()
    {
        var (program, arguments) = await Command(_withUsers);
        _process = Programs.Start(program, arguments);
        _ = _process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        _ = _process.StandardError.BaseStream.CopyToAsync(Stream.Null);
        var clock = Stopwatch.StartNew();
        while (!await Answers())
        {
            if (_process.HasExited || clock.Elapsed > Programs.Limit(30))
            {
                throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} did not start");
            }
            await Task.Delay(50);
        }
    }

    public async Task Kill()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await Kill();
        Directory.Delete(Root, recursive: true);
    }

    protected abstract Task<(string Program, string[] Arguments)> Command(bool withUsers);

    private async Task<bool> Answers()
    {
        try
        {
            using var client = new HttpClient();
            using var answer = await client.GetAsync(new Uri($"http://{Host}/v2/"));
            return true;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}

/// <summary>Debian's docker-registry: the distribution project's server.</summary>
public abstract class DistributionServer(bool withUsers) : RegistryServer(withUsers)
{
    protected override async Task<(string Program, string[] Arguments)> Command(bool withUsers)
    {
        Requirement.Program("docker-registry", "docker-registry");
        var file = Path.Combine(Root, "config.yml");
        var users = withUsers ? $"auth: {{htpasswd: {{realm: tests, path: {UserFile}}}}}" : "";
        await File.WriteAllTextAsync(file, $$$"""
            version: 0.1
            log: {level: error}
            storage: {filesystem: {rootdirectory: "{{{Root}}}/data"}, delete: {enabled: true}}
            http: {addr: "127.0.0.1:{{{Port}}}", secret: none}
            {{{users}}}

            """);
        return ("docker-registry", ["serve", file]);
    }
}

public sealed class DebianRegistry() : DistributionServer(withUsers: false);

public sealed class DebianRegistryWithUsers() : DistributionServer(withUsers: true);

/// <summary>Our own: <c>slipway registry serve</c>.</summary>
public abstract class SlipwayServer(bool withUsers) : RegistryServer(withUsers)
{
    protected override Task<(string Program, string[] Arguments)> Command(bool withUsers)
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        string[] arguments = ["registry", "serve", "--listen", $"127.0.0.1:{Port}", "--root", Path.Combine(Root, "data")];
        return Task.FromResult((Repository.Executable!, withUsers ? [.. arguments, "--htpasswd", UserFile] : arguments));
    }
}

public sealed class SlipwayRegistry() : SlipwayServer(withUsers: false);

public sealed class SlipwayRegistryWithUsers() : SlipwayServer(withUsers: true);

/// <summary>
/// Our own, with tokens and rights: alice may do everything, <see cref="Reader"/> may pull everything, and everybody may pull what lies in <c>public/</c>.
/// </summary>
public sealed class SlipwayRegistryWithRights() : SlipwayServer(withUsers: true)
{
    public static string Reader => "reader";

    protected override async Task<(string Program, string[] Arguments)> Command(bool withUsers)
    {
        await File.AppendAllTextAsync(UserFile, (await Programs.Run("htpasswd", ["-Bbn", Reader, Password])).Ok().Output);
        var file = Path.Combine(Root, "registry.json");
        await File.WriteAllTextAsync(file, $$"""
            {
              "auth": {
                "htpasswd": "{{UserFile}}",
                "token": { "lifetime": "60s" },
                "rules": [
                  { "repositories": "**", "users": ["{{User}}"], "actions": ["*"] },
                  { "repositories": "**", "users": ["{{Reader}}"], "actions": ["pull"] },
                  { "repositories": "public/**", "users": ["$anonymous"], "actions": ["pull"] }
                ]
              }
            }
            """);
        return (Repository.Executable!, ["registry", "serve", "--listen", $"127.0.0.1:{Port}", "--root", Path.Combine(Root, "data"), "--config", file]);
    }
}
