using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>The API by TCP with TLS and client certificates, and through ssh's standard streams.</summary>
public sealed class RemoteAccessTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task With_client_certificates_the_api_is_served_by_tcp_and_to_nobody_else()
    {
        Assert.SkipUnless(IsSlipway, "starts an engine of its own");
        var folder = Folder();
        using var authority = TestCertificates.Authority("the authority");
        using var stranger = TestCertificates.Authority("a stranger");
        TestCertificates.Write(folder, "ca", authority);
        TestCertificates.Issue(folder, "server", authority, server: true);
        TestCertificates.Issue(folder, "client", authority, server: false);
        TestCertificates.Issue(folder, "foreign", stranger, server: false);
        var port = FreePort();
        await using var plugin = AuthorizationPluginTests.StartPlugin(out var name);
        await using var daemon = new Engine("tls")
        {
            Flags = ["--authorization-plugin", name, "-H", $"tcp://127.0.0.1:{port}", "--tlsverify", "--tlscacert", $"{folder}/ca.pem", "--tlscert", $"{folder}/server.pem", "--tlskey", $"{folder}/server-key.pem"],
        };
        await daemon.Start();
        await AlpineImage.Import(daemon.Docker);

        var trusted = await Client(port, folder, "client", "run", "--rm", "-i", "alpine", "sh", "-c", "cat; echo done");
        Assert.Equal("hello\ndone\n", trusted.Ok().Output);

        // An authorization plugin is told who it was.
        var created = plugin.Requests.First(call => call.Uri.Contains("/containers/create", StringComparison.Ordinal)).Arguments;
        Assert.Equal(("client", "TLS"), ((string?)created["User"], (string?)created["UserAuthNMethod"]));
        using var shown = X509Certificate2.CreateFromPem(System.Text.Encoding.ASCII.GetString(Convert.FromBase64String((string)created["RequestPeerCertificates"]![0]!)));
        Assert.Equal("CN=client", shown.Subject);
        Assert.Null(plugin.Requests[0].Arguments["User"]);
        Assert.NotEqual(0, (await Client(port, folder, "foreign", "version")).ExitCode);
        var plain = await Programs.Run(Docker.Path, ["-H", $"tcp://127.0.0.1:{port}", "version"]);
        Assert.NotEqual(0, plain.ExitCode);
        var anonymous = await Programs.Run(Docker.Path, ["-H", $"tcp://127.0.0.1:{port}", "--tls", "version"]);
        Assert.NotEqual(0, anonymous.ExitCode);
        Assert.DoesNotContain("Server: ", anonymous.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_certificate_is_told_at_the_start()
    {
        var root = Folder();
        var result = await Programs.Run(
            Repository.Executable!,
            ["daemon", "--data-root", root, "--exec-root", root, "--bridge", "none", "-H", "tcp://127.0.0.1:0", "--tls", "--tlscert", "/nosuch.pem", "--tlskey", "/nosuch.pem"]);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("/nosuch.pem", result.Error, StringComparison.Ordinal);

        // Nothing was started.
        Assert.Empty(Directory.EnumerateFileSystemEntries(root));
    }

    /// <summary>What the docker CLI does with <c>ssh://</c>: it runs <c>ssh HOST docker system dial-stdio</c> and speaks HTTP over its streams.</summary>
    [Fact]
    public async Task An_ssh_connection_is_served_by_dial_stdio()
    {
        Assert.SkipUnless(IsSlipway, "runs Slipway's own command");
        var folder = Folder();
        await File.WriteAllTextAsync($"{folder}/ssh", $"#!/bin/sh\nexport SLIPWAY_HOST=unix://{Docker.Socket}\nwhile [ \"$1\" != docker ]; do shift; done\nshift\nexec {Repository.Executable} \"$@\"\n", Cancellation);
        File.SetUnixFileMode($"{folder}/ssh", (UnixFileMode)0x1ED);
        Dictionary<string, string> variables = new()
        {
            ["PATH"] = $"{folder}:{Environment.GetEnvironmentVariable("PATH")}",
            ["DOCKER_CONFIG"] = "/nonexistent",
        };
        var result = await Programs.Run(
            Docker.Path, ["-H", "ssh://somebody@example.invalid", "run", "--rm", "-i", "alpine", "sh", "-c", "cat; echo done"],
            new MemoryStream("hello\n"u8.ToArray()), environment: variables);
        Assert.Equal("hello\ndone\n", result.Ok().Output);
    }

    [Fact]
    public async Task Dial_stdio_says_where_no_engine_listens()
    {
        Assert.SkipUnless(IsSlipway, "runs Slipway's own command");
        var result = await Programs.Run(Repository.Executable!, ["-H", "unix:///nonexistent/socket", "system", "dial-stdio"]);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("unix:///nonexistent/socket", result.Error, StringComparison.Ordinal);
    }

    private static Task<CliResult> Client(int port, string folder, string name, params string[] arguments) => Programs.Run(
        Docker.Path,
        ["-H", $"tcp://127.0.0.1:{port}", "--tlsverify", "--tlscacert", $"{folder}/ca.pem", "--tlscert", $"{folder}/{name}.pem", "--tlskey", $"{folder}/{name}-key.pem", .. arguments],
        new MemoryStream("hello\n"u8.ToArray()));

    private static int FreePort()
    {
        using System.Net.Sockets.TcpListener listener = new(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }
}
