using Slipway.Registry.Server;
using Slipway.Registry.Server.Http;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Server;

/// <summary>Names of repositories and the paths that hold them.</summary>
public sealed class NameTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("library/alpine")]
    [InlineData("a/b/c/d")]
    [InlineData("a.b_c__d-e---f")]
    [InlineData("0/1")]
    public void Names_are_names(string text)
    {
        Assert.True(RepositoryName.TryParse(text, out RepositoryName name));
        Assert.Equal(text, name.ToString());
        Assert.DoesNotContain('/', name.FileName);
        Assert.True(RepositoryName.TryParseFileName(name.FileName, out RepositoryName back));
        Assert.Equal(name, back);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a/../b")]
    [InlineData("a/./b")]
    [InlineData("a//b")]
    [InlineData("/a")]
    [InlineData("a/")]
    [InlineData("a..b")]
    [InlineData("a___b")]
    [InlineData("-a")]
    [InlineData("a-")]
    [InlineData("A")]
    [InlineData("a~b")]
    [InlineData("a b")]
    [InlineData("a\0b")]
    [InlineData("ä")]
    public void Other_texts_are_not(string text) => Assert.False(RepositoryName.TryParse(text, out _));

    /// <summary>NAME_MAX is 255 bytes (limits.h): a longer name would have no directory.</summary>
    [Fact]
    public void A_name_fits_a_directory_entry()
    {
        Assert.True(RepositoryName.TryParse(new string('a', 255), out _));
        Assert.False(RepositoryName.TryParse(new string('a', 256), out _));
    }

    [Theory]
    [InlineData("/v2", "Base", "", "")]
    [InlineData("/v2/", "Base", "", "")]
    [InlineData("/v2/_catalog", "Catalog", "", "")]
    [InlineData("/v2/a/b/tags/list", "Tags", "a/b", "")]
    [InlineData("/v2/a/manifests/latest", "Manifest", "a", "latest")]
    [InlineData("/v2/a/manifests/manifests/x", "Manifest", "a/manifests", "x")]
    [InlineData("/v2/a/blobs/sha256:1", "Blob", "a", "sha256:1")]
    [InlineData("/v2/a/blobs/uploads/", "Uploads", "a", "")]
    [InlineData("/v2/a/blobs/uploads", "Uploads", "a", "")]
    [InlineData("/v2/a/blobs/uploads/1-2", "Upload", "a", "1-2")]
    [InlineData("/v2/a/blobs/uploads/manifests/x", "Manifest", "a/blobs/uploads", "x")]
    [InlineData("/v2/a/referrers/sha256:1", "Referrers", "a", "sha256:1")]
    [InlineData("/v2/a", "None", "", "")]
    [InlineData("/v2/a/b", "None", "", "")]
    [InlineData("/v1/a/manifests/x", "None", "", "")]
    [InlineData("/", "None", "", "")]
    [InlineData("", "None", "", "")]
    public void Paths_are_read_from_their_end(string path, string resource, string name, string reference)
    {
        RegistryPath parsed = RegistryPath.Parse(path);
        Assert.Equal((resource, name, reference), (parsed.Resource.ToString(), parsed.Name.ToString(), parsed.Reference.ToString()));
    }
}
