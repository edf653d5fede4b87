using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>The log driver syslog over TLS (<c>tcp+tls</c>), against a server of the test's own.</summary>
public sealed class SyslogTlsTests(SharedEngine engine) : EngineTest(engine)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Records_are_sent_to_a_server_that_the_authority_knows_with_a_certificate_of_one_s_own()
    {
        var folder = Folder();
        using var authority = TestCertificates.Authority("syslog authority");
        TestCertificates.Write(folder, "ca", authority);
        TestCertificates.Issue(folder, "server", authority, server: true);
        TestCertificates.Issue(folder, "client", authority, server: false);
        using var listener = Listen(out var port);
        var served = ServeAsync(listener, folder, wantsClient: true);
        var name = Container();
        await Docker.Ok(
            "run", "--name", name, "--log-driver", "syslog", "--log-opt", $"syslog-address=tcp+tls://127.0.0.1:{port}", "--log-opt", $"syslog-tls-ca-cert={folder}/ca.pem",
            "--log-opt", $"syslog-tls-cert={folder}/client.pem", "--log-opt", $"syslog-tls-key={folder}/client-key.pem", "--log-opt", "tag=secured", "alpine", "echo", "over tls");
        var (line, client) = await served.WaitAsync(s_limit, Cancellation);
        Assert.EndsWith("]: over tls", line, StringComparison.Ordinal);
        Assert.Contains("secured[", line, StringComparison.Ordinal);
        Assert.Equal("CN=client", client);
    }

    [Fact]
    public async Task A_server_that_nobody_vouches_for_is_refused_unless_that_is_asked_for()
    {
        var folder = Folder();
        using var authority = TestCertificates.Authority("the authority");
        using var stranger = TestCertificates.Authority("a stranger");
        TestCertificates.Write(folder, "ca", authority);
        TestCertificates.Issue(folder, "server", stranger, server: true);
        using var listener = Listen(out var port);
        var refused = ServeAsync(listener, folder, wantsClient: false);
        string[] options = ["--log-driver", "syslog", "--log-opt", $"syslog-address=tcp+tls://127.0.0.1:{port}"];
        var result = await Docker.Run(["run", "--name", Container("a"), .. options, "--log-opt", $"syslog-tls-ca-cert={folder}/ca.pem", "alpine", "echo", "secret"]);
        Assert.NotEqual(0, result.ExitCode);
        result.Says("failed to initialize logging driver");
        Assert.Null((await refused.WaitAsync(s_limit, Cancellation)).Line);

        var served = ServeAsync(listener, folder, wantsClient: false);
        await Docker.Ok(["run", "--name", Container("b"), .. options, "--log-opt", "syslog-tls-skip-verify=true", "alpine", "echo", "trusting"]);
        Assert.EndsWith("]: trusting", (await served.WaitAsync(s_limit, Cancellation)).Line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_an_authority_that_is_none_is_named()
    {
        var folder = Folder();
        await File.WriteAllTextAsync($"{folder}/ca.pem", "no certificate", Cancellation);
        foreach (var file in (string[])["ca.pem", "nosuch.pem"])
        {
            var result = await Docker.Run(
                "run", "--name", Container(file[..2]), "--log-driver", "syslog", "--log-opt", "syslog-address=tcp+tls://127.0.0.1:1", "--log-opt", $"syslog-tls-ca-cert={folder}/{file}", "alpine", "true");
            Assert.NotEqual(0, result.ExitCode);
            result.Says($"{folder}/{file}");
        }
    }

    private static TcpListener Listen(out int port)
    {
        TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        port = ((IPEndPoint)listener.LocalEndpoint).Port;
        return listener;
    }

    /// <summary>The first line that comes, and the subject of the client; null where the client does not come to an end with its handshake.</summary>
    private static async Task<(string? Line, string? Client)> ServeAsync(TcpListener listener, string folder, bool wantsClient)
    {
        using var connection = await listener.AcceptTcpClientAsync(Cancellation);
        await using SslStream stream = new(connection.GetStream());
        using var pem = X509Certificate2.CreateFromPemFile($"{folder}/server.pem", $"{folder}/server-key.pem");
        using var certificate = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
        try
        {
            await stream.AuthenticateAsServerAsync(
                new SslServerAuthenticationOptions { ServerCertificate = certificate, ClientCertificateRequired = wantsClient, RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null || !wantsClient }, Cancellation);
            using StreamReader reader = new(stream);
            return (await reader.ReadLineAsync(Cancellation), stream.RemoteCertificate?.Subject);
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException)
        {
            return (null, null);
        }
    }
}
