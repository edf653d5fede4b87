using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>Lists: tags and referrers, page by page.</summary>
public sealed class ListTests : DistributionTest
{
    private static readonly Digest Subject = Digest.Of("subject"u8);

    [Fact]
    public async Task Tags_come_page_by_page()
    {
        Registry.Answer = context => context.Request.Query["last"].ToString() switch
        {
            "" => PageAsync(context, "{\"name\":\"app/one\",\"tags\":[\"a\",\"b\"]}", "</v2/app/one/tags/list?last=b,c&n=2>; rel=\"next\""),
            "b,c" => PageAsync(context, "{\"tags\":[\"c\"]}", $"</other>; rel=prev, <http://{Registry.Host}/v2/app/one/tags/list?last=c>; rel=next"),
            _ => PageAsync(context, "{\"tags\":null}", null),
        };
        await using var repository = Pull();
        Assert.Equal(["a", "b", "c"], await repository.ListTagsAsync(Cancellation).ToListAsync(Cancellation));
    }

    [Theory]
    [InlineData("</v2/app/one/tags/list>; rel=\"next\"")]
    [InlineData("</v2/app/one/tags/list?last=a>; rel=\"next\"")]
    public async Task A_list_that_leads_in_a_circle_is_refused(string link)
    {
        Registry.Answer = context => PageAsync(context, "{\"tags\":[\"a\"]}", link);
        await using var repository = Pull();
        await RefusedAsync(RegistryErrorKind.Invalid, async () => await repository.ListTagsAsync(Cancellation).ToListAsync(Cancellation));
        Assert.InRange(Registry.Requests.Count, 1, 3);
    }

    [Theory]
    [InlineData("<http://localhost:1/v2/app/one/tags/list>; rel=\"next\"")]
    [InlineData("<https://evil.example.com/>; rel=\"next\"")]
    [InlineData("<file:///etc/passwd>; rel=\"next\"")]
    public async Task A_list_that_goes_on_elsewhere_is_refused(string link)
    {
        Registry.Answer = context => PageAsync(context, "{\"tags\":[\"a\"]}", link);
        await using var repository = Pull();
        await RefusedAsync(RegistryErrorKind.Invalid, async () => await repository.ListTagsAsync(Cancellation).ToListAsync(Cancellation));
    }

    [Theory]
    [InlineData("{\"tags\":[\"../../etc\"]}")]
    [InlineData("{\"tags\":[\"\\u001b[2J\"]}")]
    [InlineData("{\"tags\":[null]}")]
    [InlineData("{\"tags\":3}")]
    [InlineData("[")]
    public async Task What_is_no_list_of_tags_is_refused(string list)
    {
        Registry.Answer = context => PageAsync(context, list, null);
        await using var repository = Pull();
        await RefusedAsync(RegistryErrorKind.Invalid, async () => await repository.ListTagsAsync(Cancellation).ToListAsync(Cancellation));
    }

    [Fact]
    public async Task An_endless_list_is_refused()
    {
        var written = 0L;
        Registry.Answer = context => SendEndlessAsync(context, (byte)' ', sent => written = sent);
        await using var repository = Pull();
        await RefusedAsync(RegistryErrorKind.Invalid, async () => await repository.ListTagsAsync(Cancellation).ToListAsync(Cancellation));
        Assert.InRange(written, 0, 64 << 20);
    }

    [Fact]
    public async Task An_unknown_repository_has_Dockers_text()
    {
        Registry.Answer = context => FakeRegistry.RefuseAsync(context, 404, "NAME_UNKNOWN", "repository name not known to registry");
        await using var repository = Pull();
        var error = await RefusedAsync(RegistryErrorKind.NotFound, async () => await repository.ListTagsAsync(Cancellation).ToListAsync(Cancellation));
        Assert.Equal($"repository {Registry.Host}/app/one not found: name unknown: repository name not known to registry", error.Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Referrers_come_by_the_API_or_by_the_tag(bool hasApi)
    {
        var index = Encoding.UTF8.GetBytes($$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{Referrer("sbom")}},{{Referrer("signature")}}]}""");
        if (hasApi)
        {
            Registry.Answer = context => PageAsync(context, Encoding.UTF8.GetString(index), null);
        }
        else
        {
            Registry.AddManifest("app/one", $"sha256-{Subject.Hex}", index, MediaTypes.OciIndex);
        }

        await using var repository = Pull();
        Assert.Equal(["sbom", "signature"], (await repository.ListReferrersAsync(Subject, null, Cancellation)).Select(referrer => referrer.ArtifactType));
        Assert.Equal(["sbom"], (await repository.ListReferrersAsync(Subject, "sbom", Cancellation)).Select(referrer => referrer.ArtifactType));
        Assert.Equal($"GET /v2/app/one/referrers/{Subject}", Registry.Lines[0]);
    }

    [Fact]
    public async Task Nothing_refers_to_what_nobody_refers_to()
    {
        await using var repository = Pull();
        Assert.Empty(await repository.ListReferrersAsync(Subject, null, Cancellation));
    }

    private static string Referrer(string type) =>
        $$"""{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of(Encoding.UTF8.GetBytes(type))}}","size":5,"artifactType":"{{type}}"}""";

    private static async Task<bool> PageAsync(HttpContext context, string json, string? link)
    {
        context.Response.ContentType = "application/json";
        context.Response.Headers.Link = link;
        await context.Response.WriteAsync(json);
        return true;
    }
}
