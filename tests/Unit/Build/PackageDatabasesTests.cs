using System.Text;
using Slipway.Build.Packages;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>From dpkg(1), apk's "Installed Database", .NET's runtime-configuration files, npm's package.json and the package URL specification.</summary>
public sealed class PackageDatabasesTests
{
    [Fact]
    public void Dpkg_tells_what_is_installed()
    {
        const string Status = """
            Package: bash
            Status: install ok installed
            Architecture: amd64
            Version: 5.2.15-2+b7
            Description: GNU Bourne Again SHell
             Package: no field
            Homepage: http://a:b

            Package: gone
            Status: deinstall ok config-files
            Version: 1

            Package: distroless
            Version: 1:2~rc3
            """;
        Assert.Equal(
            ["pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64", "pkg:deb/debian/distroless@1%3A2~rc3"],
            PackageDatabases.Dpkg(new StringReader(Status), "debian").Select(package => package.Url));
    }

    [Fact]
    public void Apk_tells_what_is_installed()
    {
        Package package = Assert.Single(PackageDatabases.Apk(new StringReader("C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\nF:lib\nR:ld-musl-x86_64.so.1\n\n\n"), "alpine"));
        Assert.Equal(("pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64", "MIT"), (package.Url, package.License));
    }

    [Theory]
    [InlineData("""{"libraries":{"App/1.0.0":{"type":"project"},"Newtonsoft.Json/13.0.3":{"type":"package"},"Odd":{"type":"package"}}}""", "pkg:nuget/Newtonsoft.Json@13.0.3")]
    [InlineData("""{"libraries":[1]}""", "")]
    [InlineData("""{"libraries":{"a/\ud800":{"type":"package"}}}""", "")]
    [InlineData("[]", "")]
    [InlineData("{", "")]
    public void Dotnet_names_its_packages(string json, string expected) =>
        Assert.Equal(expected, string.Join(' ', PackageDatabases.Dotnet(Encoding.UTF8.GetBytes(json)).Select(package => package.Url)));

    [Theory]
    [InlineData("""{"name":"left-pad","version":"1.3.0","license":"WTFPL"}""", "pkg:npm/left-pad@1.3.0")]
    [InlineData("""{"name":"@scope/x","version":"2.0.0"}""", "pkg:npm/%40scope/x@2.0.0")]
    [InlineData("""{"name":"private"}""", null)]
    [InlineData("""{"name":1,"version":"1"}""", null)]
    [InlineData("""{"name":"\ud800","version":"1"}""", null)]
    [InlineData("no json", null)]
    public void Node_names_a_package(string json, string? expected) => Assert.Equal(expected, PackageDatabases.Node(Encoding.UTF8.GetBytes(json))?.Url);

    [Theory]
    [InlineData("NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"", "debian")]
    [InlineData("ID=\"rocky\"", "rocky")]
    [InlineData("VERSION_ID=3", null)]
    public void A_distribution_has_an_id(string release, string? expected) => Assert.Equal(expected, PackageDatabases.Distribution(new StringReader(release)));
}
