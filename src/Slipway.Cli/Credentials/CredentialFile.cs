using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Slipway.Api.Registries;

namespace Slipway.Cli.Credentials;

/// <summary>
/// Docker's <c>config.json</c>, shared with docker, podman and others: credentials by registry (<c>auths</c>), or the helpers that keep them
/// (<c>credHelpers</c> by registry, <c>credsStore</c> for all others). What else stands in it is kept as it is.
/// </summary>
internal sealed class CredentialFile
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly JsonObject _document;

    private CredentialFile(string path, JsonObject document)
    {
        Path = path;
        _document = document;
    }

    public string Path { get; }

    /// <summary>The file in DOCKER_CONFIG, or in <c>~/.docker</c>; empty where there is none.</summary>
    /// <exception cref="CommandException">It is no JSON document or cannot be read.</exception>
    public static CredentialFile Open()
    {
        string folder = Environment.GetEnvironmentVariable("DOCKER_CONFIG") is { Length: > 0 } named
            ? named
            : System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".docker");
        return Open(System.IO.Path.Combine(folder, "config.json"));
    }

    public static CredentialFile Open(string path)
    {
        try
        {
            return new CredentialFile(path, File.Exists(path) ? JsonNode.Parse(File.ReadAllBytes(path)) as JsonObject ?? throw new JsonException("not an object") : []);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new CommandException($"error loading config file: {path}: {exception.Message}", 1);
        }
    }

    /// <summary>The helper that keeps the credentials of a registry, or null for the file itself.</summary>
    public CredentialHelper? HelperOf(string registry)
    {
        string? name = (string?)(_document["credHelpers"] as JsonObject)?[registry] ?? (string?)_document["credsStore"];
        return string.IsNullOrEmpty(name) ? null : new CredentialHelper(name);
    }

    /// <returns>Null where nothing is kept for the registry.</returns>
    public async Task<AuthConfig?> GetAsync(string registry, CancellationToken cancellationToken) =>
        HelperOf(registry) is { } helper ? await helper.GetAsync(registry, cancellationToken).ConfigureAwait(false) : Read(registry);

    public async Task StoreAsync(string registry, AuthConfig auth, CancellationToken cancellationToken)
    {
        JsonObject entry = [];
        if (HelperOf(registry) is { } helper)
        {
            // The entry stays, empty: it tells other programs that there is something to ask the helper for.
            await helper.StoreAsync(registry, auth, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            entry["auth"] = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{auth.Username}:{auth.Password}"));
            if (!string.IsNullOrEmpty(auth.IdentityToken))
            {
                entry["auth"] = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{auth.Username}:"));
                entry["identitytoken"] = auth.IdentityToken;
            }
        }

        Auths()[registry] = entry;
        Save();
    }

    public async Task EraseAsync(string registry, CancellationToken cancellationToken)
    {
        if (HelperOf(registry) is { } helper)
        {
            await helper.EraseAsync(registry, cancellationToken).ConfigureAwait(false);
        }

        if (KeyOf(registry) is { } key)
        {
            Auths().Remove(key);
            Save();
        }
    }

    private AuthConfig? Read(string registry)
    {
        if (KeyOf(registry) is not { } key || Auths()[key] is not JsonObject entry)
        {
            return null;
        }

        string[] user = Decode((string?)entry["auth"]).Split(':', 2);
        AuthConfig auth = new()
        {
            Username = user[0],
            Password = user.Length > 1 ? user[1].TrimEnd('\0') : "",
            IdentityToken = (string?)entry["identitytoken"],
            RegistryToken = (string?)entry["registrytoken"],
            ServerAddress = registry,
        };
        return auth is { Username: "", IdentityToken: null, RegistryToken: null } ? null : auth;
    }

    /// <summary>The key as it stands in the file: old files have addresses there.</summary>
    private string? KeyOf(string registry) =>
        _document["auths"] is not JsonObject auths ? null
        : auths.ContainsKey(registry) ? registry
        : auths.Select(entry => entry.Key).FirstOrDefault(key => RegistryKey.Host(key) == RegistryKey.Host(registry));

    private JsonObject Auths()
    {
        if (_document["auths"] is not JsonObject auths)
        {
            _document["auths"] = auths = [];
        }

        return auths;
    }

    private string Decode(string? text)
    {
        try
        {
            return text is null ? "" : Encoding.UTF8.GetString(Convert.FromBase64String(text));
        }
        catch (FormatException)
        {
            throw new CommandException($"error loading config file: {Path}: invalid auth configuration file", 1);
        }
    }

    /// <summary>Replaces the file at once, readable to its owner alone.</summary>
    private void Save()
    {
        string target = File.Exists(Path) && File.ResolveLinkTarget(Path, returnFinalTarget: true) is { } linked ? linked.FullName : Path;
        string temporary = $"{target}.{Environment.ProcessId}";
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!, Private | UnixFileMode.UserExecute);
        FileStreamOptions options = new() { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = Private };
        using (FileStream file = new(temporary, options))
        {
            file.Write(Encoding.UTF8.GetBytes(_document.ToJsonString(Output.JsonOutput.Indented) + "\n"));
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, target, overwrite: true);
    }
}
