using Slipway.Engine.Builds.History;
using Slipway.Grpc;
using Slipway.Server.BuildKit;
using Xunit;

namespace Slipway.Tests.Unit.BuildKit;

public sealed class HistoryFilterTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 4, 12, 0, 0, TimeSpan.Zero);

    private static readonly BuildRecord Record = new()
    {
        Reference = "abc123",
        State = BuildState.Error,
        Error = "failed",
        Started = Now.AddHours(-2),
        Completed = Now.AddHours(-1),
        Attributes = new Dictionary<string, string> { ["context"] = "https://example.org/x.git#main" },
    };

    [Theory]
    [InlineData("ref==abc123", true)]
    [InlineData("ref==abc", false)]
    [InlineData("ref~=bc1", true)]
    [InlineData("ref~=.*", false)]
    [InlineData("ref!=abc123", false)]
    [InlineData("ref", true)]
    [InlineData("status==error", true)]
    [InlineData("status==completed", false)]
    [InlineData("status==\"error\",ref==abc123", true)]
    [InlineData("status==error,ref==x", false)]
    [InlineData("repository==https://example.org/x.git", true)]
    [InlineData("startedAt>=3h", true)]
    [InlineData("startedAt>=90m", false)]
    [InlineData("startedAt<90m", true)]
    [InlineData("completedAt>2026-03-04T10:30:00Z", true)]
    [InlineData("completedAt>2026-03-04T12:30:00+01:00", false)]
    [InlineData("duration<=1h", true)]
    [InlineData("duration<1h", false)]
    [InlineData("duration>59m59s", true)]
    public void Conditions_of_a_list_hold_together(string filter, bool matches) => Assert.Equal(matches, HistoryFilter.Parse([filter], Now).Matches(Record));

    [Fact]
    public void What_runs_has_no_end()
    {
        BuildRecord running = Record with { State = BuildState.Running, Completed = null };
        Assert.True(HistoryFilter.Parse(["status==running"], Now).Matches(running));
        Assert.False(HistoryFilter.Parse(["completedAt>=24h"], Now).Matches(running));
        Assert.True(HistoryFilter.Parse(["duration<1s"], Now).Matches(running));
    }

    [Fact]
    public void Any_of_several_lists_may_match()
    {
        Assert.True(HistoryFilter.Parse(["ref==x", "status==error"], Now).Matches(Record));
        Assert.False(HistoryFilter.Parse(["ref==x", "status==running"], Now).Matches(Record));
        Assert.True(HistoryFilter.Parse([], Now).Matches(Record));
    }

    [Theory]
    [InlineData("nosuch==1")]
    [InlineData("ref=1")]
    [InlineData("ref>1")]
    [InlineData("startedAt")]
    [InlineData("startedAt==1h")]
    [InlineData("startedAt>yesterday")]
    [InlineData("startedAt>99999999h")]
    [InlineData("duration>2026-03-04T10:30:00Z")]
    public void What_is_no_filter_is_refused(string filter) => Assert.Equal(GrpcStatusCode.InvalidArgument, Assert.Throws<GrpcException>(() => HistoryFilter.Parse([filter], Now)).Code);
}
