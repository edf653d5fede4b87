using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Slipway.Server.BuildKit;
using Xunit;

namespace Slipway.Tests.Unit.BuildKit;

public sealed class RecordFilterTests
{
    private static readonly CacheRecord Record = new() { Id = "abc123", Type = "regular", Description = "RUN make", IsShared = true, Parents = { "p1" } };

    [Theory]
    [InlineData("id==abc123", true)]
    [InlineData("id==abc", false)]
    [InlineData("id~=bc1", true)]
    [InlineData("id~=.*", false)]
    [InlineData("id!=abc123", false)]
    [InlineData("type==regular,description~=make", true)]
    [InlineData("type==regular,description~=test", false)]
    [InlineData("type==\"regular\"", true)]
    [InlineData("parent==p1", true)]
    [InlineData("parent!=p1", false)]
    [InlineData("shared", true)]
    [InlineData("shared==false", false)]
    [InlineData("private", false)]
    [InlineData("inuse", false)]
    [InlineData("inuse==false", true)]
    [InlineData("mutable", false)]
    [InlineData("immutable", true)]
    public void Conditions_of_a_list_hold_together(string filter, bool matches) => Assert.Equal(matches, RecordFilter.Parse([filter]).Matches(Record));

    [Fact]
    public void Any_of_several_lists_may_match()
    {
        Assert.True(RecordFilter.Parse(["id==x", "type==regular"]).Matches(Record));
        Assert.False(RecordFilter.Parse(["id==x", "type==y"]).Matches(Record));
        Assert.True(RecordFilter.Parse([]).Matches(Record));
    }

    [Theory]
    [InlineData("nosuch==1")]
    [InlineData("id=1")]
    [InlineData("id<1")]
    [InlineData("id~")]
    public void What_is_no_filter_is_refused(string filter) => Assert.Equal(GrpcStatusCode.InvalidArgument, Assert.Throws<GrpcException>(() => RecordFilter.Parse([filter])).Code);
}
