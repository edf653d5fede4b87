using Slipway.Engine;
using Slipway.Engine.Containers.Create;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

/// <summary>The option <c>idmap</c> of a bind.</summary>
public sealed class IdMapTextTests
{
    private static readonly IdMap s_map = new([new IdRange(0, 100000, 1000), new IdRange(1000, 300000, 1000)]);

    [Fact]
    public void Ids_of_the_container_become_the_host_s()
    {
        (IReadOnlyList<IdMappingSpec> users, IReadOnlyList<IdMappingSpec> groups) = IdMapText.Mappings("uids=1000-0-1#5-1500-10;gids=7-7-1", new IdMaps(s_map, s_map));
        Assert.Equal([new IdMappingSpec(1000, 100000, 1), new IdMappingSpec(5, 300500, 10)], users);
        Assert.Equal([new IdMappingSpec(7, 100007, 1)], groups);
        (users, groups) = IdMapText.Mappings("uids=1000-0-1", null);
        Assert.Equal([new IdMappingSpec(1000, 0, 1)], users);
        Assert.Equal(users, groups);
    }

    [Theory]
    [InlineData("uids=0-999-2")]
    [InlineData("uids=0-2000-1")]
    public void Ids_that_the_container_has_not_together_are_refused(string ids) =>
        Assert.Throws<EngineException>(() => IdMapText.Mappings(ids, new IdMaps(s_map, s_map)));

    [Theory]
    [InlineData("idmap=")]
    [InlineData("idmap=x")]
    [InlineData("idmap=uids=")]
    [InlineData("idmap=uids=1-2")]
    [InlineData("idmap=uids=1-2-0")]
    [InlineData("idmap=uids=1--2-1")]
    [InlineData("idmap=uids=1-2-4294967295")]
    [InlineData("idmap=uids=4294967296-0-1")]
    [InlineData("idmap=uids=0-0-5#3-10-5")]
    [InlineData("idmap=uids=0-0-1;uids=0-0-1")]
    [InlineData("idmap=uids=0-0-1;")]
    public void What_cannot_be_meant_is_an_error(string word) => Assert.Throws<EngineException>(() => IdMapText.Ids(word));
}
