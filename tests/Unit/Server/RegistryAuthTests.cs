using System.Buffers.Text;
using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Distribution;
using Slipway.Server.Http;
using Xunit;

namespace Slipway.Tests.Unit.Server;

public sealed class RegistryAuthTests
{
    private const string Json = """{"username":"me","password":"p?ss>w~rd","serveraddress":"reg.example.com","email":"ignored"}""";

    [Fact]
    public void Base64_of_both_alphabets_is_read_with_padding_and_without()
    {
        string standard = Convert.ToBase64String(Encoding.UTF8.GetBytes(Json));
        Assert.Contains(standard, c => c is '+' or '/');
        foreach (string text in new[] { standard, standard.TrimEnd('='), Base64Url.EncodeToString(Encoding.UTF8.GetBytes(Json)), standard.Replace('+', '-').Replace('/', '_') })
        {
            RegistryCredentials credentials = Of(text)!;
            Assert.Equal(("me", "p?ss>w~rd", "reg.example.com"), (credentials.Username, credentials.Password, credentials.ServerAddress));
        }
    }

    [Fact]
    public void Tokens_are_read()
    {
        RegistryCredentials credentials = Of(Base64Url.EncodeToString("""{"identitytoken":"i","registrytoken":"r"}"""u8))!;
        Assert.Equal(("i", "r", ""), (credentials.IdentityToken, credentials.RegistryToken, credentials.Username));
    }

    [Theory]
    [InlineData("")]
    [InlineData("!!")]
    [InlineData("e30")]
    [InlineData("bnVsbA")]
    [InlineData("WzFd")]
    [InlineData("eyJ1c2VybmFtZSI6MX0")]
    public void What_cannot_be_read_or_says_nothing_counts_as_none(string header) => Assert.Null(Of(header));

    [Fact]
    public void The_secrets_are_in_no_text() => Assert.DoesNotContain("p?ss", Of(Base64Url.EncodeToString(Encoding.UTF8.GetBytes(Json)))!.ToString(), StringComparison.Ordinal);

    private static RegistryCredentials? Of(string header)
    {
        DefaultHttpContext context = new();
        context.Request.Headers["X-Registry-Auth"] = header;
        return RegistryAuth.Of(context.Request);
    }
}
