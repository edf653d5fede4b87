using System.Net.Http.Headers;
using System.Text;
using Slipway.Oci;
using Slipway.Registry.Server;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>Users and passwords, rules for repositories.</summary>
public sealed class AccessTests
{
    /// <summary>Made by <c>htpasswd -nbB</c> of apache2-utils: alice/wonderland, bob/builder.</summary>
    private const string Users =
        """
        # people
        alice:ALICE
        bob:BOB
        """;

    /// <summary>Writes the file of users into a directory.</summary>
    internal static string WriteUsers(string directory)
    {
        string file = Path.Combine(directory, "users");
        File.WriteAllText(file, Users.Replace("ALICE", Hashes.Wonderland, StringComparison.Ordinal).Replace("BOB", Hashes.Builder, StringComparison.Ordinal));
        return file;
    }

    internal static AccessRule Rule(string repositories, string users, string actions) =>
        new() { Repositories = repositories, Users = users.Split(','), Actions = actions.Split(',') };

    internal static Action<HttpRequestMessage> As(string user, string password) => request =>
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}")));

    private static Task<RegistryUnderTest> StartAsync(params AccessRule[] rules) => RegistryUnderTest.StartAsync(configuration => configuration with
    {
        Auth = new AuthConfiguration { Htpasswd = WriteUsers(configuration.Root!), Rules = rules.Length == 0 ? null : rules, Administrators = ["alice"] },
    });

    private static Task<Answer> PushAsync(RegistryUnderTest registry, string repository, Action<HttpRequestMessage>? who) =>
        registry.SendAsync(HttpMethod.Post, $"/v2/{repository}/blobs/uploads/?digest={Digest.Of("content"u8)}", "content"u8.ToArray(), who);

    private static Task<Answer> PullAsync(RegistryUnderTest registry, string repository, Action<HttpRequestMessage>? who) =>
        registry.SendAsync(HttpMethod.Get, $"/v2/{repository}/blobs/{Digest.Of("content"u8)}", null, who);

    [Fact]
    public async Task Without_credentials_one_is_asked_for_them()
    {
        await using RegistryUnderTest registry = await StartAsync();
        foreach (string path in new[] { "/v2/", "/v2/_catalog", "/v2/app/tags/list", "/", "/-/r/app", "/metrics" })
        {
            Answer answer = (await registry.GetAsync(path)).IsError(401, "UNAUTHORIZED");
            Assert.Equal("Basic realm=\"Slipway registry\", charset=\"UTF-8\"", answer.Header("WWW-Authenticate"));
        }

        (await PushAsync(registry, "app", null)).IsError(401, "UNAUTHORIZED");
        (await registry.SendAsync(HttpMethod.Get, "/v2/", null, As("alice", "wonderland"))).Is(200);
        (await PushAsync(registry, "app", As("bob", "builder"))).Is(201);
        (await PullAsync(registry, "app", As("alice", "wonderland"))).Is(200);
    }

    [Theory]
    [InlineData("alice", "wrong")]
    [InlineData("alice", "")]
    [InlineData("nobody", "wonderland")]
    [InlineData("", "")]
    [InlineData("# people", "x")]
    public async Task Wrong_credentials_are_401(string user, string password)
    {
        await using RegistryUnderTest registry = await StartAsync(Rule("**", "$anonymous", "pull"));
        (await registry.SendAsync(HttpMethod.Get, "/v2/", null, As(user, password))).IsError(401, "UNAUTHORIZED");

        // Also where nobody would have needed any.
        (await PullAsync(registry, "app", As(user, password))).IsError(401, "UNAUTHORIZED");
    }

    [Theory]
    [InlineData("Basic !!!")]
    [InlineData("Basic YWxpY2U=")]
    [InlineData("Bearer x.y.z")]
    [InlineData("Digest username=alice")]
    public async Task Credentials_of_another_form_are_401(string header)
    {
        await using RegistryUnderTest registry = await StartAsync();
        (await registry.GetAsync("/v2/", ("Authorization", header))).IsError(401, "UNAUTHORIZED");
    }

    [Fact]
    public async Task Rules_say_who_may_do_what()
    {
        await using RegistryUnderTest registry = await StartAsync(
            Rule("public/**", "$anonymous", "pull"), Rule("public/*", "alice", "push"), Rule("bobs/**", "bob", "*"), Rule("shared", "$authenticated", "pull,push"));
        (await PushAsync(registry, "public/x", As("alice", "wonderland"))).Is(201);
        (await PullAsync(registry, "public/x", null)).Is(200);
        (await PushAsync(registry, "public/x", null)).IsError(401, "UNAUTHORIZED");
        (await PushAsync(registry, "public/x", As("bob", "builder"))).IsError(403, "DENIED");
        (await PushAsync(registry, "public/x/deep", As("alice", "wonderland"))).IsError(403, "DENIED");
        (await PushAsync(registry, "bobs/a/b", As("bob", "builder"))).Is(201);
        (await PullAsync(registry, "bobs/a/b", As("alice", "wonderland"))).IsError(403, "DENIED");
        (await PullAsync(registry, "bobs/a/b", null)).IsError(401, "UNAUTHORIZED");
        (await PushAsync(registry, "shared", As("alice", "wonderland"))).Is(201);
        (await registry.SendAsync(HttpMethod.Delete, $"/v2/shared/blobs/{Digest.Of("content"u8)}", null, As("alice", "wonderland"))).IsError(403, "DENIED");
        (await registry.SendAsync(HttpMethod.Delete, $"/v2/bobs/a/b/blobs/{Digest.Of("content"u8)}", null, As("bob", "builder"))).Is(202);
        (await PullAsync(registry, "sharedbutnot", As("bob", "builder"))).IsError(403, "DENIED");
    }

    /// <summary>Knowing a digest is no right to the blob: it is mounted only from where its reader may read.</summary>
    [Fact]
    public async Task A_mount_needs_the_right_to_pull_from_its_source()
    {
        await using RegistryUnderTest registry = await StartAsync(Rule("alices", "alice", "*"), Rule("bobs", "bob", "*"));
        (await PushAsync(registry, "alices", As("alice", "wonderland"))).Is(201);
        string mount = $"/v2/bobs/blobs/uploads/?mount={Digest.Of("content"u8)}&from=alices";
        (await registry.SendAsync(HttpMethod.Post, mount, null, As("bob", "builder"))).Is(202);
        (await PullAsync(registry, "bobs", As("bob", "builder"))).IsError(404, "BLOB_UNKNOWN");
    }

    [Fact]
    public async Task Lists_show_what_may_be_pulled()
    {
        await using RegistryUnderTest registry = await StartAsync(Rule("public", "$anonymous", "pull"), Rule("secret-of-bob", "bob", "*"), Rule("**", "alice", "*"));
        byte[] manifest = RegistryUnderTest.Manifest("content"u8.ToArray(), []);
        foreach (string name in new[] { "public", "secret-of-bob" })
        {
            (await PushAsync(registry, name, As("alice", "wonderland"))).Is(201);
            (await registry.SendAsync(HttpMethod.Put, $"/v2/{name}/manifests/1", manifest, As("alice", "wonderland"))).Is(201);
        }

        foreach (string path in new[] { "/v2/_catalog", "/" })
        {
            Assert.DoesNotContain("secret", (await registry.GetAsync(path)).Is(200).Text, StringComparison.Ordinal);
            Assert.Contains("public", (await registry.GetAsync(path)).Text, StringComparison.Ordinal);
            Assert.Contains("secret-of-bob", (await registry.SendAsync(HttpMethod.Get, path, null, As("bob", "builder"))).Is(200).Text, StringComparison.Ordinal);
        }

        (await registry.GetAsync("/-/r/public:1")).Is(200);
        (await registry.GetAsync("/-/r/secret-of-bob:1")).Is(401);
        (await registry.SendAsync(HttpMethod.Get, "/-/r/secret-of-bob:1", null, As("bob", "builder"))).Is(200);
    }

    [Fact]
    public async Task Garbage_and_metrics_are_for_administrators()
    {
        await using RegistryUnderTest registry = await StartAsync(Rule("**", "$anonymous", "*"));
        (await registry.SendAsync(HttpMethod.Post, "/-/gc")).IsError(401, "UNAUTHORIZED");
        (await registry.SendAsync(HttpMethod.Post, "/-/gc", null, As("bob", "builder"))).IsError(403, "DENIED");
        (await registry.SendAsync(HttpMethod.Get, "/metrics", null, As("bob", "builder"))).IsError(403, "DENIED");
        (await registry.SendAsync(HttpMethod.Post, "/-/gc", null, As("alice", "wonderland"))).Is(200);
        (await registry.SendAsync(HttpMethod.Get, "/metrics", null, As("alice", "wonderland"))).Is(200);
    }

    [Fact]
    public async Task No_log_holds_a_password()
    {
        await using RegistryUnderTest registry = await StartAsync();
        (await registry.SendAsync(HttpMethod.Get, "/v2/", null, As("alice", "wonderland"))).Is(200);
        (await registry.SendAsync(HttpMethod.Get, "/v2/", null, As("alice", "wrongland"))).Is(401);
        await registry.RestartAsync();
        string log = Encoding.UTF8.GetString(registry.AccessLog.ToArray()) + string.Join('\n', registry.Log.Entries);
        Assert.Contains(" alice GET /v2/ 200 ", log, StringComparison.Ordinal);
        foreach (string secret in new[] { "wonderland", "wrongland", Convert.ToBase64String("alice:wonderland"u8) })
        {
            Assert.DoesNotContain(secret, log, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("alice:plain", "line 1")]
    [InlineData("alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "line 1")]
    [InlineData("\n$anonymous:$2y$05$YMNLsOLnBTKvTIIJCYRB8OJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJ", "line 2")]
    public async Task A_file_of_users_with_another_hash_is_refused(string text, string where)
    {
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, text, TestContext.Current.CancellationToken);
            RegistryConfigurationException error = await Assert.ThrowsAsync<RegistryConfigurationException>(
                () => RegistryUnderTest.StartAsync(configuration => configuration with { Auth = new AuthConfiguration { Htpasswd = file } }));
            Assert.Contains(where, error.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
