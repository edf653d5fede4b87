using Slipway.Registry.Server;
using Slipway.Registry.Server.Access;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Server;

public sealed class ConfigurationTests
{
    private static RegistryServerConfiguration Read(string json)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, json);
            return RegistryServerConfiguration.Read(file);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void What_a_file_does_not_say_has_its_default()
    {
        RegistryServerConfiguration read = Read("""{ "root": "/r", /* why not */ "auth": { "token": {} }, "cache": { "upstream": "docker.io" }, "gc": { "untagged": true } }""");
        Assert.Equal(("24h", "24h", "1h", true), (read.Uploads.Expiry, read.Collection.Interval, read.Collection.Grace, read.Collection.Untagged));
        Assert.Equal((true, true, 32), (read.AccessLog, read.Page, read.ManifestCacheMegabytes));
        Assert.Equal(("slipway-registry", "5m"), (read.Auth!.Token!.Service, read.Auth.Token.Lifetime));
        Assert.Empty(read.Auth.Administrators);
        Assert.Empty(read.Auth.Token.TrustedKeys);
        Assert.Equal(("1m", ""), (read.Cache!.TagLifetime, read.Cache.Username));
        Assert.Null(read.Metrics.Listen);
    }

    [Theory]
    [InlineData("""{ "rooot": "/r" }""", "rooot")]
    [InlineData("""{ "root": "/r", "root": "/s" }""", "root")]
    [InlineData("""{ "uploads": null }""", "uploads")]
    [InlineData("""{ "cache": {} }""", "upstream")]
    [InlineData("[]", "configuration file")]
    public void What_cannot_be_meant_is_an_error_that_names_it(string json, string named) =>
        Assert.Contains(named, Assert.Throws<RegistryConfigurationException>(() => Read(json)).Message, StringComparison.OrdinalIgnoreCase);

    [Fact]
    public void A_missing_file_is_an_error() =>
        Assert.Contains("/no/such/file", Assert.Throws<RegistryConfigurationException>(() => RegistryServerConfiguration.Read("/no/such/file")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("90s", 90)]
    [InlineData("1.5m", 90)]
    [InlineData("24h", 86_400)]
    [InlineData("7d", 604_800)]
    [InlineData("0", 0)]
    public void Durations_are_read(string text, int seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), Duration.Parse(text, "x"));

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("h")]
    [InlineData("-1h")]
    [InlineData("5 weeks")]
    [InlineData("99999999999999999d")]
    public void Other_texts_are_no_durations(string text) =>
        Assert.Contains("gc.grace", Assert.Throws<RegistryConfigurationException>(() => Duration.Parse(text, "gc.grace")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("app", "app", true)]
    [InlineData("app", "apps", false)]
    [InlineData("*", "app", true)]
    [InlineData("*", "team/app", false)]
    [InlineData("**", "team/app", true)]
    [InlineData("team/*", "team/app", true)]
    [InlineData("team/*", "team/app/x", false)]
    [InlineData("team/*", "team/", true)]
    [InlineData("team/**", "team/app/x", true)]
    [InlineData("team/**", "team", false)]
    [InlineData("*/app", "team/app", true)]
    [InlineData("*/app", "a/b/app", false)]
    [InlineData("**/app", "a/b/app", true)]
    [InlineData("t*m/a*p", "team/app", true)]
    [InlineData("t*m/a*p", "team/x/app", false)]
    [InlineData("", "app", false)]
    public void Patterns_fit_names(string pattern, string name, bool fits) => Assert.Equal(fits, AccessPolicy.Matches(pattern, name));

    [Fact]
    public void No_pattern_is_slow()
    {
        string pattern = string.Concat(Enumerable.Repeat("*a", 100)) + "b";
        System.Diagnostics.Stopwatch clock = System.Diagnostics.Stopwatch.StartNew();
        Assert.False(AccessPolicy.Matches(pattern, new string('a', 255)));
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5));
    }
}
