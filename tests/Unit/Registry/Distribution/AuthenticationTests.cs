using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Distribution.Authentication;
using Slipway.Registry.Distribution.Transport;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>Passwords and tokens: who gets them, when they are fetched again, and who never sees them.</summary>
public sealed class AuthenticationTests : DistributionTest
{
    private string _token = "first-token";

    private string Realm => $"http://{Registry.Host}/token";

    private static string BasicHeader => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"ann:{Password}"));

    [Fact]
    public async Task A_password_goes_to_a_registry_that_asks_for_it()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Basic;
        await using var repository = Pull(Credentials);

        await repository.GetManifestAsync("v1", Cancellation);
        await repository.GetManifestAsync("v1", Cancellation);
        Assert.Equal([null, BasicHeader, BasicHeader], Registry.Requests.Select(request => request.Authorization));
    }

    [Fact]
    public async Task Without_credentials_and_with_wrong_ones_the_texts_are_Dockers()
    {
        Registry.Answer = Basic;
        await using var anonymous = Pull();
        await using var wrong = Pull(Credentials with { Password = "wrong" });
        await using var push = Push();

        var error = await RefusedAsync(RegistryErrorKind.Unauthorized, () => anonymous.GetManifestAsync("v1", Cancellation));
        Assert.Equal($"Get \"http://{Registry.Host}/v2/app/one/manifests/v1\": no basic auth credentials", error.Message);
        error = await RefusedAsync(RegistryErrorKind.Unauthorized, () => wrong.GetManifestAsync("v1", Cancellation));
        Assert.Equal("unauthorized: authentication required", error.Message);
        error = await RefusedAsync(RegistryErrorKind.Unauthorized, () => push.PushManifestAsync("v1", new RemoteManifest(new() { MediaType = MediaTypes.OciManifest, Digest = Digest.Of([]) }, default), Cancellation));
        Assert.Equal("no basic auth credentials", error.Message);
    }

    [Fact]
    public async Task A_token_is_asked_for_once_and_for_what_is_wanted_only()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Either(context => GiveTokenAsync(context, new { token = _token, expires_in = 300 }));
        await using var repository = Pull(Credentials);

        await repository.GetManifestAsync("v1", Cancellation);
        await repository.GetManifestAsync("v1", Cancellation);
        var asked = Assert.Single(Registry.Requests, request => request.Path == "/token");
        Assert.Equal("?service=test&scope=repository%3Aapp%2Fone%3Apull&account=ann", asked.Query);
        Assert.Equal(BasicHeader, asked.Authorization);
        Assert.Equal(4, Registry.Requests.Count);
    }

    [Fact]
    public async Task A_token_is_asked_for_without_credentials_where_there_are_none()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Either(context => GiveTokenAsync(context, new { access_token = _token }));
        await using var repository = Pull();

        await repository.GetManifestAsync("v1", Cancellation);
        var asked = Assert.Single(Registry.Requests, request => request.Path == "/token");
        Assert.Equal(("?service=test&scope=repository%3Aapp%2Fone%3Apull", null), (asked.Query, asked.Authorization));
    }

    [Fact]
    public async Task An_identity_token_is_posted()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Either(context => GiveTokenAsync(context, new { access_token = _token }));
        await using var repository = Client().Open(Registry.Name(), RegistryAccess.Push, new RegistryCredentials { IdentityToken = Password });

        await repository.GetManifestAsync("v1", Cancellation);
        var asked = Assert.Single(Registry.Requests, request => request.Path == "/token");
        Assert.Equal(("POST", null), (asked.Method, asked.Authorization));
        Assert.Equal($"grant_type=refresh_token&service=test&client_id=slipway&scope=repository%3Aapp%2Fone%3Apull%2Cpush&refresh_token={Password}", asked.Body);
    }

    [Fact]
    public async Task A_registry_token_is_sent_as_it_is()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Either(context => GiveTokenAsync(context, new { token = "another" }));
        await using var repository = Pull(new RegistryCredentials { RegistryToken = _token });
        await repository.GetManifestAsync("v1", Cancellation);
        _token = "changed";
        await RefusedAsync(RegistryErrorKind.Unauthorized, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.DoesNotContain(Registry.Requests, request => request.Path == "/token");
    }

    [Fact]
    public async Task A_token_that_the_registry_no_longer_takes_is_replaced_in_the_middle_of_a_pull()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Either(context => GiveTokenAsync(context, new { token = _token, expires_in = 3600 }));
        await using var repository = Pull(Credentials);

        await repository.GetManifestAsync("v1", Cancellation);
        _token = "second-token";
        await repository.GetManifestAsync("v1", Cancellation);
        Assert.Equal(2, Registry.Requests.Count(request => request.Path == "/token"));
    }

    [Fact]
    public async Task A_token_whose_time_is_over_is_not_sent()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Either(context => GiveTokenAsync(context, new { token = _token, expires_in = 300 }));
        await using var repository = Pull(Credentials);

        await repository.GetManifestAsync("v1", Cancellation);
        Time.Advance(TimeSpan.FromSeconds(301));
        _token = "second-token";
        await repository.GetManifestAsync("v1", Cancellation);
        Assert.Equal([null, BasicHeader, "Bearer first-token", BasicHeader, "Bearer second-token"], Registry.Requests.Select(request => request.Authorization));
    }

    [Fact]
    public async Task Requests_side_by_side_share_one_token()
    {
        var blob = Registry.AddBlob(RandomBytes(10));
        Registry.Answer = Either(context => GiveTokenAsync(context, new { token = _token, expires_in = 300 }));
        await using var repository = Pull(Credentials);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ => await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation))));
        Assert.Single(Registry.Requests, request => request.Path == "/token");
    }

    /// <summary>Each of several first requests tries TLS first; one may get that far when another was already asked for a token over plain HTTP.</summary>
    [Fact]
    public async Task What_was_asked_over_plain_HTTP_is_not_answered_over_TLS()
    {
        var asked = 0;
        var sender = new RequestSender(
            (message, _) =>
            {
                asked++;
                return Task.FromResult(new HttpResponseMessage { RequestMessage = message, Content = new StringContent("{\"token\":\"first-token\"}") });
            },
            Patience, Time);
        using var authenticator = new Authenticator(new TokenClient(sender, Time), Credentials, [], Time);
        using var challenge = new HttpResponseMessage();
        challenge.Headers.TryAddWithoutValidation("WWW-Authenticate", "Bearer realm=\"http://127.0.0.1:5000/token\",service=\"test\"");
        await authenticator.AnswerAsync(challenge.Headers, new Uri("http://127.0.0.1:5000/"), ["s"], rejected: null, Cancellation);

        Assert.Null(await authenticator.PrepareAsync(new Uri("https://127.0.0.1:5000/"), ["s"], Cancellation));
        Assert.Equal("first-token", (await authenticator.PrepareAsync(new Uri("http://127.0.0.1:5000/"), ["s"], Cancellation))?.Parameter);
        Assert.Equal(1, asked);
    }

    [Fact]
    public async Task A_token_that_is_not_enough_is_Dockers_denial()
    {
        Registry.Answer = context => context.Request.Path == "/token" ? GiveTokenAsync(context, new { token = "weak" }) : InsufficientAsync(context);
        await using var pull = Pull(Credentials);
        await using var push = Push(Credentials);

        var error = await RefusedAsync(RegistryErrorKind.NotFound, () => pull.GetManifestAsync("v1", Cancellation));
        Assert.Equal(
            $"pull access denied for {Registry.Host}/app/one, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", error.Message);
        error = await RefusedAsync(RegistryErrorKind.Denied, () => push.PushBlobAsync(new Descriptor { Digest = Digest.Of([]) }, [], _ => ValueTask.FromResult(Stream.Null), null, Cancellation));
        Assert.Equal("denied: requested access to the resource is denied", error.Message);

        Task<bool> InsufficientAsync(HttpContext context)
        {
            context.Response.Headers.WWWAuthenticate = $"Bearer realm=\"{Realm}\",service=\"test\",error=\"insufficient_scope\"";
            return FakeRegistry.RefuseAsync(context, 401, "UNAUTHORIZED", "authentication required");
        }
    }

    [Fact]
    public async Task A_wrong_password_at_the_token_server_has_Dockers_text()
    {
        Registry.Answer = Either(async context =>
        {
            context.Response.StatusCode = 401;
            await context.Response.WriteAsync("{\"details\":\"incorrect username or password\"}");
            return true;
        });
        await using var pull = Pull(Credentials);
        await using var push = Push(Credentials);

        var error = await RefusedAsync(RegistryErrorKind.Unauthorized, () => pull.GetManifestAsync("v1", Cancellation));
        Assert.Equal($"Get \"http://{Registry.Host}/v2/app/one/manifests/v1\": unauthorized: incorrect username or password", error.Message);
        error = await RefusedAsync(RegistryErrorKind.Unauthorized, () => push.HasBlobAsync(Digest.Of([]), Cancellation));
        Assert.Equal("unauthorized: incorrect username or password", error.Message);
    }

    [Fact]
    public async Task An_endless_token_is_refused()
    {
        var written = 0L;
        Registry.Answer = Either(async context =>
        {
            await context.Response.WriteAsync("{\"token\":\"");
            return await SendEndlessAsync(context, (byte)'a', sent => written = sent);
        });
        await using var repository = Pull(Credentials);

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Equal($"the answer of token server {Registry.Host} has more than {1 << 20} bytes: refused", error.Message);
        Assert.InRange(written, 0, 32 << 20);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"token\":\"\"}")]
    [InlineData("{\"token\":\"a\\r\\nHost: other\"}")]
    [InlineData("{\"token\":\"a b\"}")]
    [InlineData("null")]
    [InlineData("{\"token\":")]
    [InlineData("{\"token\":\"a\",\"token\":\"b\"}")]
    public async Task What_is_no_token_is_refused(string answer)
    {
        Registry.Answer = Either(async context =>
        {
            await context.Response.WriteAsync(answer);
            return true;
        });
        await using var repository = Pull(Credentials);
        await RefusedAsync(RegistryErrorKind.Invalid, () => repository.GetManifestAsync("v1", Cancellation));
    }

    [Fact]
    public async Task A_token_server_that_redirects_is_not_followed()
    {
        await using var elsewhere = await FakeRegistry.StartAsync();
        Registry.Answer = Either(context =>
        {
            (context.Response.StatusCode, context.Response.Headers.Location) = (307, $"http://{elsewhere.Host}/token");
            return Task.FromResult(true);
        });
        await using var repository = Pull(Credentials);

        await RefusedAsync(RegistryErrorKind.Refused, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Empty(elsewhere.Requests);
    }

    [Fact]
    public async Task A_mirror_gets_no_credentials_and_is_passed_over()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Basic;
        await using var mirror = await FakeRegistry.StartAsync();
        mirror.Answer = Basic;
        await using var repository = Pull(Credentials, new()
        {
            Retry = Patience,
            Registries = new Dictionary<string, RegistrySettings> { [Registry.Host] = new() { Mirrors = [$"http://{mirror.Host}/"] } },
        });

        await repository.GetManifestAsync("v1", Cancellation);
        Assert.Equal([null], mirror.Requests.Select(request => request.Authorization));
        Assert.Equal([null, BasicHeader], Registry.Requests.Select(request => request.Authorization));
    }

    [Fact]
    public void Secrets_are_not_in_a_text()
    {
        var credentials = new RegistryCredentials { Username = "ann", Password = Password, IdentityToken = Password, RegistryToken = Password, ServerAddress = "r.example.com" };
        Assert.Equal("credentials for r.example.com", credentials.ToString());
        Assert.Equal("credentials for r.example.com", $"{credentials}");
    }

    private Task<bool> Basic(HttpContext context)
    {
        if (context.Request.Headers.Authorization == BasicHeader)
        {
            return Task.FromResult(false);
        }

        context.Response.Headers.WWWAuthenticate = "Basic realm=\"test\"";
        return FakeRegistry.RefuseAsync(context, 401, "UNAUTHORIZED", "authentication required");
    }

    /// <summary>A token server at /token, and a registry that wants its tokens.</summary>
    private Func<HttpContext, Task<bool>> Either(Func<HttpContext, Task<bool>> token) =>
        context => context.Request.Path == "/token" ? token(context) : Bearer(() => Realm, () => _token)(context);
}
