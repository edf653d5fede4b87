using Slipway.Cli.Copying;
using Slipway.Storage.Copies;
using Xunit;
using CopyTarget = Slipway.Cli.Copying.CopyTarget;

namespace Slipway.Tests.Unit.Cli;

/// <summary>Expectations are what cp(1) and docker do with the same paths.</summary>
public sealed class CopyPlaceTests
{
    [Theory]
    [InlineData("web:/etc", "web", "/etc")]
    [InlineData("web:etc/", "web", "/etc/")]
    [InlineData("web:", "web", "/")]
    [InlineData("/a:b", null, "/a:b")]
    [InlineData("./a:b", null, "./a:b")]
    [InlineData("a", null, "a")]
    [InlineData("-", null, "-")]
    [InlineData(":/a", null, ":/a")]
    public void Arguments_name_a_container_or_none(string argument, string? container, string path) => Assert.Equal(new CopyPlace(container, path), CopyPlace.Parse(argument));

    [Theory]
    [InlineData("/there", true, true, false, "/there", null)]
    [InlineData("/there", true, false, false, "/", "there")]
    [InlineData("/a/new", false, false, true, "/a", "new")]
    [InlineData("/a/new/", false, false, true, "/a", "new")]
    [InlineData("/a/new/.", false, false, true, "/a", "new")]
    [InlineData("/a/new", false, false, false, "/a", "new")]
    public void A_destination_is_a_directory_or_a_name(string path, bool exists, bool isDirectory, bool sourceIsDirectory, string directory, string? name) =>
        Assert.Equal(new CopyTargetPlan(directory, name), CopyTargetPlan.Of(sourceIsDirectory, null, new CopyTarget(path, exists, isDirectory)));

    [Theory]
    [InlineData("tree", "new", "tree/a", "new/a")]
    [InlineData("tree", "new", "tree", "new")]
    [InlineData("tree", "new", "trees/a", "trees/a")]
    [InlineData("tree", "new", "other/tree", "other/tree")]
    [InlineData(".", "new", "./a", "new/a")]
    [InlineData(".", "new", ".hidden", ".hidden")]
    [InlineData("/", "new", "/etc/a", "new/etc/a")]
    public void The_first_component_is_renamed(string from, string to, string name, string expected) =>
        Assert.Equal(expected, System.Text.Encoding.UTF8.GetString(new CopyName(from, to).Of(System.Text.Encoding.UTF8.GetBytes(name))));
}
