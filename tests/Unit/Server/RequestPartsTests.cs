using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Engine;
using Slipway.Server.Http;
using Slipway.Server.Streams;
using Xunit;

namespace Slipway.Tests.Unit.Server;

public sealed class RequestPartsTests
{
    [Theory]
    [InlineData("/v1.43/containers/json", "1.43", "/containers/json")]
    [InlineData("/v1.50/_ping", "1.50", "/_ping")]
    [InlineData("/v1.24/_ping", "1.24", "/_ping")]
    [InlineData("/containers/json", "1.50", "/containers/json")]
    [InlineData("/version", "1.50", "/version")]
    [InlineData("/volumes", "1.50", "/volumes")]
    [InlineData("/vx/info", "1.50", "/vx/info")]
    [InlineData("/v1.43", "1.50", "/v1.43")]
    public void Versions_are_taken_off_paths(string path, string version, string rest)
    {
        (ApiVersion actual, string remaining) = ApiVersion.Split(path);

        Assert.Equal((version, rest), (actual.ToString(), remaining));
    }

    [Theory]
    [InlineData("/v1.5/info")]
    [InlineData("/v1/info")]
    [InlineData("/v./info")]
    [InlineData("/v2.0/info")]
    [InlineData("/v1.150/info")]
    public void Versions_out_of_bounds_are_refused(string path) =>
        Assert.Equal(ErrorKind.InvalidParameter, Assert.Throws<EngineException>(() => ApiVersion.Split(path)).Kind);

    [Theory]
    [InlineData("1700000000", 17000000000000000L)]
    [InlineData("1700000000.123456789", 17000000001234567L)]
    [InlineData("1700000000.5", 17000000005000000L)]
    [InlineData("2023-11-14T22:13:20Z", 17000000000000000L)]
    [InlineData("2023-11-14T23:13:20.5+01:00", 17000000005000000L)]
    [InlineData("0.000000001", 0L)]
    public void Times_are_read(string text, long ticks) => Assert.Equal(ticks, (Query("since", text).Time("since")!.Value - DateTimeOffset.UnixEpoch).Ticks);

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    public void No_time_is_none(string text) => Assert.Null(Query("since", text).Time("since"));

    [Theory]
    [InlineData("x")]
    [InlineData("1.x")]
    [InlineData("1.0123456789")]
    [InlineData("99999999999999999999")]
    [InlineData("9999999999999")]
    public void What_is_no_time_is_refused(string text) => Assert.Throws<EngineException>(() => Query("since", text).Time("since"));

    [Theory]
    [InlineData("[]")]
    [InlineData("{\"a\":1}")]
    [InlineData("{\"a\":[1]}")]
    [InlineData("{\"a\":{\"b\":1}}")]
    [InlineData("{")]
    public void What_is_no_filter_is_refused(string text) => Assert.Throws<EngineException>(() => Query("filters", text).Filters());

    [Theory]
    [InlineData("", "abc\x10", "x", "abc\x10x", false)]
    [InlineData("", "abc\x10", "\x11x", "abc", true)]
    [InlineData("a,a,b", "aa", "abz", "a", true)]
    [InlineData("a,a,b", "aa", "ca", "aac", false)]
    [InlineData("q", "xq", "y", "x", true)]
    [InlineData("DEL,ctrl-[", "x\x7f", "\x1b", "x", true)]
    public void Detach_keys_are_found_over_borders_and_partial_matches_pass(string keys, string first, string second, string passed, bool found)
    {
        DetachKeys filter = DetachKeys.Parse(keys);
        string output = Filter(filter, first) + Filter(filter, second);

        Assert.Equal((passed, found), (output, filter.Found));
    }

    [Theory]
    [InlineData("ctrl-1")]
    [InlineData("ctrl-")]
    [InlineData("a,,b")]
    [InlineData("F1")]
    [InlineData("é")]
    public void What_is_no_key_is_refused(string keys) => Assert.Throws<EngineException>(() => DetachKeys.Parse(keys));

    private static string Filter(DetachKeys keys, string typed)
    {
        byte[] output = new byte[typed.Length + keys.MaxHeldBack];
        return Encoding.Latin1.GetString(output, 0, keys.Filter(Encoding.Latin1.GetBytes(typed), output));
    }

    private static QueryParameters Query(string name, string value) => new(QueryString.Create(name, value));
}
