using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Registries;
using Slipway.Registry.Distribution;

namespace Slipway.Server.Http;

/// <summary>The credentials that come with a request (Engine API, "Authentication"): JSON in URL-safe base64. What cannot be read counts as none, as in Docker.</summary>
internal static class RegistryAuth
{
    private const string Header = "X-Registry-Auth";

    public static RegistryCredentials? Of(HttpRequest request)
    {
        string text = request.Headers[Header].ToString();
        if (text.Length == 0)
        {
            return null;
        }

        try
        {
            string urlSafe = text.Replace('+', '-').Replace('/', '_');
            return JsonSerializer.Deserialize(Encoding.UTF8.GetString(Base64Url.DecodeFromChars(urlSafe)), EngineJson.Wire.AuthConfig) is { } auth ? Of(auth) : null;
        }
        catch (Exception error) when (error is FormatException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Null for credentials that say nothing.</summary>
    public static RegistryCredentials? Of(AuthConfig auth)
    {
        RegistryCredentials credentials = new()
        {
            Username = auth.Username ?? "",
            Password = auth.Password ?? "",
            IdentityToken = auth.IdentityToken ?? "",
            RegistryToken = auth.RegistryToken ?? "",
            ServerAddress = auth.ServerAddress ?? "",
        };
        return credentials is { Username: "", Password: "", IdentityToken: "", RegistryToken: "" } ? null : credentials;
    }
}
