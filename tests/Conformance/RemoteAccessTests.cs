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
        using var authority = Authority("the authority");
        using var stranger = Authority("a stranger");
        Write(folder, "ca", authority);
        Issue(folder, "server", authority, server: true);
        Issue(folder, "client", authority, server: false);
        Issue(folder, "foreign", stranger, server: false);
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

    internal static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
    }

    internal static void Issue(string folder, string name, X509Certificate2 authority, bool server)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(server ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2")], critical: false));
        SubjectAlternativeNameBuilder names = new();
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(2), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText($"{folder}/{name}.pem", issued.ExportCertificatePem());
        File.WriteAllText($"{folder}/{name}-key.pem", key.ExportPkcs8PrivateKeyPem());
    }

    internal static void Write(string folder, string name, X509Certificate2 certificate) => File.WriteAllText($"{folder}/{name}.pem", certificate.ExportCertificatePem());
}
