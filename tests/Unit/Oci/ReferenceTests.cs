using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Oci;

/// <summary>Names as Docker reads them (the distribution project's reference grammar).</summary>
public sealed class ReferenceTests
{
    private const string Hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData("alpine", "docker.io/library/alpine", "alpine")]
    [InlineData("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20")]
    [InlineData("library/alpine", "docker.io/library/alpine", "alpine")]
    [InlineData("docker.io/alpine", "docker.io/library/alpine", "alpine")]
    [InlineData("index.docker.io/library/alpine", "docker.io/library/alpine", "alpine")]
    [InlineData("user/app:v1", "docker.io/user/app:v1", "user/app:v1")]
    [InlineData("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b")]
    [InlineData("localhost/app", "localhost/app", "localhost/app")]
    [InlineData("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1")]
    [InlineData("host:5000/app", "host:5000/app", "host:5000/app")]
    [InlineData("example.com/a/b/c:T_1.-x", "example.com/a/b/c:T_1.-x", "example.com/a/b/c:T_1.-x")]
    [InlineData("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app")]
    [InlineData("[2001:db8::1]/app", "[2001:db8::1]/app", "[2001:db8::1]/app")]
    [InlineData("Registry/app", "Registry/app", "Registry/app")]
    [InlineData("a__b/c-d--e.f", "docker.io/a__b/c-d--e.f", "a__b/c-d--e.f")]
    [InlineData("app@sha256:" + Hex, "docker.io/library/app@sha256:" + Hex, "app@sha256:" + Hex)]
    [InlineData("app:1@sha256:" + Hex, "docker.io/library/app:1@sha256:" + Hex, "app:1@sha256:" + Hex)]
    public void A_name_has_a_full_and_a_familiar_form(string text, string full, string familiar)
    {
        var reference = Reference.Parse(text);
        Assert.Equal((full, familiar), (reference.ToString(), reference.Familiar));
        Assert.Equal(reference, Reference.Parse(reference.Familiar));
        Assert.Equal(reference, Reference.Parse(reference.ToString()));
    }

    [Theory]
    [InlineData("")]
    [InlineData(":tag")]
    [InlineData("a:")]
    [InlineData("a:-tag")]
    [InlineData("a b")]
    [InlineData("a//b")]
    [InlineData("/a")]
    [InlineData("a/")]
    [InlineData("a___b")]
    [InlineData("a..b")]
    [InlineData("-a")]
    [InlineData("a_")]
    [InlineData("host:port/app")]
    [InlineData("host:/app")]
    [InlineData("-host.com/app")]
    [InlineData("[::g]/app")]
    [InlineData("[/app")]
    [InlineData("a@sha256:12")]
    [InlineData("a@" + Hex)]
    [InlineData("ä")]
    [InlineData("a\0")]
    [InlineData("../../etc")]
    public void Anything_else_is_refused(string text) =>
        Assert.Equal("invalid reference format", Assert.Throws<OciException>(() => Reference.Parse(text)).Message);

    [Theory]
    [InlineData("Foo", "invalid reference format: repository name (library/Foo) must be lowercase")]
    [InlineData("example.com/Foo:1", "invalid reference format: repository name (Foo) must be lowercase")]
    [InlineData(Hex, "invalid repository name (" + Hex + "), cannot specify 64-byte hexadecimal strings")]
    [InlineData("a@md5:0123456789abcdef0123456789abcdef", "unsupported digest algorithm")]
    [InlineData("a@sha256:0123456789abcdef0123456789abcdef", "invalid checksum digest length")]
    public void Some_errors_say_more(string text, string message) => Assert.Equal(message, Assert.Throws<OciException>(() => Reference.Parse(text)).Message);

    [Fact]
    public void Lengths_are_bounded()
    {
        Assert.Equal(128, Reference.Parse("a:" + new string('t', 128)).Tag!.Length);
        Assert.Throws<OciException>(() => Reference.Parse("a:" + new string('t', 129)));
        Assert.Equal(255, Reference.Parse("x/" + new string('a', 253)).Path.Length);
        Assert.Equal("repository name must not be more than 255 characters", Assert.Throws<OciException>(() => Reference.Parse("x/" + new string('a', 254))).Message);
    }

    [Fact]
    public void The_default_tag_is_for_names_without_tag_and_digest()
    {
        Assert.Equal("alpine:latest", Reference.Parse("alpine").WithDefaultTag().Familiar);
        Assert.Equal("alpine:1", Reference.Parse("alpine:1").WithDefaultTag().Familiar);
        Assert.Null(Reference.Parse("alpine@sha256:" + Hex).WithDefaultTag().Tag);
        Assert.Equal("alpine:2", Reference.Parse("alpine:1").WithTag("2").Familiar);
    }

    [Theory]
    [InlineData("sha256:../../../../etc/passwd")]
    [InlineData("sha256:" + Hex + "/../x")]
    [InlineData("../sha256:" + Hex)]
    [InlineData("sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef")]
    [InlineData("sha256:")]
    [InlineData("sha256")]
    [InlineData("")]
    public void A_digest_is_never_a_path(string text)
    {
        Assert.False(Digest.TryParse(text, out _));
        Assert.Throws<OciException>(() => Digest.Parse(text));
    }

    [Theory]
    [InlineData("linux/amd64", "linux/amd64")]
    [InlineData("linux/arm64/v8", "linux/arm64")]
    [InlineData("linux/x86_64", "linux/amd64")]
    [InlineData("linux/arm", "linux/arm/v7")]
    [InlineData("aarch64", "linux/arm64")]
    public void Platforms_have_one_normal_form(string text, string normal) => Assert.Equal(normal, Platform.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("a/b/c/d")]
    [InlineData("linux/")]
    [InlineData("linux/../x")]
    public void Other_platforms_are_refused(string text) => Assert.Throws<OciException>(() => Platform.Parse(text));
}
