using System.Reflection;
using Slipway.Api.Containers;
using Slipway.Server.Authorization;
using Slipway.Server.Http;
using Xunit;

namespace Slipway.Tests.Unit.Server;

/// <summary>What policies name: nothing of the API is without a name or a judgement.</summary>
public sealed class PolicyNamesTests
{
    /// <summary>A field that is added to the API has to be looked at by <see cref="PrivilegedOptions"/>, or be said to be harmless.</summary>
    [Fact]
    public void Every_field_of_a_host_configuration_is_examined_or_harmless()
    {
        string[] fields = [.. typeof(HostConfig).GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(field => field.Name)];
        Assert.Empty(fields.Except(PrivilegedOptions.HarmlessFields).Except(PrivilegedOptions.ExaminedFields));
        Assert.Empty(PrivilegedOptions.HarmlessFields.Intersect(PrivilegedOptions.ExaminedFields));
        string[] update = [.. typeof(ContainerUpdateRequest).GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(field => field.Name)];
        Assert.Empty(update.Except(PrivilegedOptions.HarmlessFields).Except(PrivilegedOptions.ExaminedFields));
    }

    [Theory]
    [InlineData("GET", "/containers/{id}/json", "containers.inspect")]
    [InlineData("GET", "/containers/json", "containers.list")]
    [InlineData("POST", "/containers/{id}/exec", "exec.create")]
    [InlineData("GET", "/containers/{id}/attach/ws", "containers.attach")]
    [InlineData("PUT", "/containers/{id}/archive", "containers.archive-write")]
    [InlineData("HEAD", "/containers/{id}/archive", "containers.archive-read")]
    [InlineData("POST", "/commit", "containers.commit")]
    [InlineData("GET", "/containers/{id}/checkpoints", "containers.checkpoint-list")]
    [InlineData("POST", "/containers/{id}/checkpoints", "containers.checkpoint-create")]
    [InlineData("DELETE", "/containers/{id}/checkpoints/{checkpoint}", "containers.checkpoint-remove")]
    [InlineData("POST", "/build", "build.run")]
    [InlineData("POST", "/build/prune", "build.prune")]
    [InlineData("GET", "/images/get", "images.save")]
    [InlineData("GET", "/images/{name}/get", "images.save")]
    [InlineData("GET", "/volumes", "volumes.list")]
    [InlineData("PUT", "/volumes/{name}", "volumes.update")]
    [InlineData("DELETE", "/networks/{id}", "networks.remove")]
    [InlineData("HEAD", "/_ping", "system.ping")]
    [InlineData("GET", "/system/df", "system.df")]
    [InlineData("GET", "/slipway/disk", "system.disk")]
    [InlineData("GET", "/slipway/containers/{id}/explain", "containers.explain")]
    public void Operations_have_names(string method, string path, string verb) =>
        Assert.Equal(verb, RouteTable.Routes.Single(route => route.Method == method && route.Path == path).Verb);

    /// <summary>The group <c>read</c> has nothing that changes, runs or copies anything.</summary>
    [Fact]
    public void Reading_is_done_by_get_alone() =>
        Assert.All(RouteTable.Routes.Where(route => Verbs.Covers("read", route.Verb)), route => Assert.True(route.Method is "GET" or "HEAD", route.Verb));
}
