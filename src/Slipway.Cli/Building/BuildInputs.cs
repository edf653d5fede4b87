using System.Text;
using System.Text.Json;
using Slipway.Api.Registries;
using Slipway.BuildKit.Clients;
using Slipway.BuildKit.Protocol;
using Slipway.Cli.Copying;
using Slipway.Cli.Credentials;
using Slipway.Cli.Output;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Oci.Tar;

namespace Slipway.Cli.Building;

/// <summary>What the options of <c>slipway build</c> mean for its request, and what the client gives for it.</summary>
internal sealed class BuildInputs : IDisposable
{
    private const string Context = "context";
    private const string Dockerfile = "dockerfile";
    private const int HeadBytes = 512;

    /// <summary>Of an answer: the manifest of the cache that was exported last.</summary>
    private const string ExportedCache = "cache.manifest";

    private readonly List<IDisposable> _owned = [];
    private readonly List<(LayoutDirectory Store, string Name)> _exported = [];
    private string? _made;

    public SolveRequest Request { get; } = new() { Frontend = "dockerfile.v0", Cache = new CacheOptions() };

    public ClientResources Resources { get; } = new();

    public SentFiles Sent { get; } = new();

    /// <summary>The same for builds of the same folder.</summary>
    public string SharedKey { get; private set; } = "";

    /// <summary>Where the Dockerfile is on this side; null: the engine has it from elsewhere.</summary>
    public string? DockerfilePath { get; private set; }

    /// <summary>A folder, an address, or <c>-</c>: an archive or a Dockerfile on standard input.</summary>
    /// <param name="file">The Dockerfile: below the folder that is the context, or elsewhere; null: <c>Dockerfile</c> there.</param>
    public async Task SetContextAsync(string context, string? file, CancellationToken cancellationToken)
    {
        if (context == "-")
        {
            await FromInputAsync(file, cancellationToken).ConfigureAwait(false);
        }
        else if (context.Contains("://", StringComparison.Ordinal) || context.StartsWith("git@", StringComparison.Ordinal) || context.StartsWith("github.com/", StringComparison.Ordinal))
        {
            Request.FrontendAttributes[Context] = context;
            Request.FrontendAttributes["filename"] = file ?? "Dockerfile";
        }
        else
        {
            if (!Directory.Exists(context))
            {
                throw new CommandException($"unable to prepare context: path \"{context}\" not found", 1);
            }

            SharedKey = Path.GetFullPath(context);
            Share(Context, context);
            await SetDockerfileAsync(context, file, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>A further context by name: a folder, an address, an image (<c>docker-image://</c>).</summary>
    public void AddContext(string name, string value)
    {
        bool isFolder = !value.Contains("://", StringComparison.Ordinal);
        if (isFolder && !Directory.Exists(value))
        {
            throw new CommandException($"failed to get build context {name}: path \"{value}\" not found", 1);
        }

        Request.FrontendAttributes[$"context:{name}"] = isFolder ? $"local:{name}" : value;
        if (isFolder)
        {
            Share(name, value);
        }
    }

    /// <summary><c>id=NAME,src=FILE</c> or <c>id=NAME,env=VARIABLE</c>.</summary>
    public void AddSecret(string text)
    {
        Dictionary<string, string> values = KeyedValues.Parse(text, "secret", bare: null);
        string? source = values.GetValueOrDefault("src") ?? values.GetValueOrDefault("source");
        string id = values.GetValueOrDefault("id") ?? Path.GetFileName(source ?? "");
        if (id.Length == 0)
        {
            throw new CommandException($"invalid secret \"{text}\": it has no id", 1);
        }

        string variable = values.GetValueOrDefault("env") ?? id;
        Resources.Secrets[id] = source is not null ? File.ReadAllBytes(source)
            : Encoding.UTF8.GetBytes(Environment.GetEnvironmentVariable(variable) ?? throw new CommandException($"secret {id}: neither a file nor the variable {variable} is there", 1));
    }

    /// <summary><c>default</c>, or <c>ID=SOCKET</c>.</summary>
    public void AddAgent(string text)
    {
        string[] parts = text.Split('=', 2);
        Resources.Agents[parts[0]] = parts.Length > 1 ? parts[1]
            : Environment.GetEnvironmentVariable("SSH_AUTH_SOCK") is { Length: > 0 } socket ? socket
            : throw new CommandException("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set", 1);
    }

    /// <summary><c>type=…,dest=…</c>, a folder, or <c>-</c> for an archive on standard output.</summary>
    public void AddOutput(string text, string names)
    {
        Dictionary<string, string> values = text == "-" ? new Dictionary<string, string> { ["type"] = "tar", ["dest"] = "-" } : KeyedValues.Parse(text, "output", bare: "dest");
        string type = values.GetValueOrDefault("type") ?? (values.ContainsKey("dest") ? "local" : "image");
        string? destination = values.GetValueOrDefault("dest");
        int place = Request.Exporters.Count;

        // A layout in a folder is unpacked by this side too.
        bool isFolder = type == "local" || (type == "oci" && values.Remove("tar", out string? tar) && tar is "false" or "0");
        if (type == "registry")
        {
            (type, values["push"]) = ("image", "true");
        }

        // A folder is filled by this side, from an archive: what is in it is written below the folder and nowhere else.
        Exporter exporter = new() { Type = type == "local" ? "tar" : type == "image" ? "moby" : type };
        foreach ((string key, string value) in values.Where(value => value.Key is not ("type" or "dest")))
        {
            exporter.Attributes[key] = value;
        }

        if (names.Length > 0 && !exporter.Attributes.ContainsKey("name"))
        {
            exporter.Attributes["name"] = names;
        }

        Request.Exporters.Add(exporter);
        switch (type)
        {
            case "local" or "oci" when isFolder:
                string folder = Directory.CreateDirectory(destination ?? throw new CommandException($"dest is required for {type} exporter", 1)).FullName;
                Resources.Outputs[place] = (archive, cancellationToken) => LocalFiles.UnpackAsync(folder, archive, "", null, keepOwner: false, cancellationToken);
                break;
            case "tar" or "docker" or "oci":
                string? path = destination is null or "-" ? null : destination;
                ArchiveOutput.RequireDestination(path);
                Resources.Outputs[place] = (archive, cancellationToken) => ArchiveOutput.WriteAsync(archive, path, cancellationToken);
                break;
        }
    }

    /// <summary><c>type=…,…</c>, or the name of an image. Which cache of a directory is meant, this side finds out.</summary>
    /// <exception cref="CommandException">It cannot be meant.</exception>
    public void AddCacheImport(string text)
    {
        CacheOption cache = Cache(text, "cache-from");
        if (cache.Type == "local")
        {
            string source = cache.Attributes.TryGetValue("src", out string? given) ? given : throw new CommandException("local cache importer requires src", 1);
            LayoutDirectory store = new(source);
            try
            {
                if (!cache.Attributes.ContainsKey("digest"))
                {
                    string name = cache.Attributes.TryGetValue("tag", out string? tag) ? tag : "latest";
                    cache.Attributes["digest"] = store.Find(name)?.Digest.ToString() ?? throw new IOException($"no cache has the name {name}");
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // As one of a registry that is not there.
                Console.Error.WriteLine($"WARNING: local cache import at {source} skipped: {error.Message}");
                return;
            }

            Resources.Stores[$"local:{source}"] = store;
        }

        Request.Cache.Imports.Add(cache);
    }

    /// <summary><c>type=…,…</c>.</summary>
    /// <exception cref="CommandException">It cannot be meant.</exception>
    public void AddCacheExport(string text)
    {
        CacheOption cache = Cache(text, "cache-to");
        if (cache.Type == "local")
        {
            string destination = cache.Attributes.TryGetValue("dest", out string? given) ? given : throw new CommandException("local cache exporter requires dest", 1);
            Directory.CreateDirectory(destination);
            LayoutDirectory store = new(destination);
            Resources.Stores[$"local:{destination}"] = store;
            _exported.Add((store, cache.Attributes.TryGetValue("tag", out string? tag) ? tag : "latest"));
        }

        Request.Cache.Exports.Add(cache);
    }

    /// <summary>Names what was exported in the directories it went to.</summary>
    /// <param name="result">What the engine says of the build.</param>
    /// <exception cref="CommandException">A directory cannot be written.</exception>
    public void Finish(IReadOnlyDictionary<string, string> result)
    {
        if (!result.TryGetValue(ExportedCache, out string? text) || JsonSerializer.Deserialize(text, OciJson.Default.Descriptor) is not { } manifest)
        {
            return;
        }

        try
        {
            foreach ((LayoutDirectory store, string name) in _exported.Where(exported => exported.Store.SizeOf(manifest.Digest) is not null))
            {
                store.Name(manifest, name);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"ERROR: failed to export cache: {error.Message}", 1);
        }
    }

    /// <summary><c>type=provenance,mode=max</c>, <c>type=sbom</c>.</summary>
    public void AddAttestation(string text)
    {
        Dictionary<string, string> values = KeyedValues.Parse(text, "attest", bare: "type");
        string type = values.GetValueOrDefault("type") ?? throw new CommandException("attestation type not specified", 1);
        if (type is not ("provenance" or "sbom"))
        {
            throw new CommandException($"invalid attestation type \"{type}\": provenance and sbom are", 1);
        }

        Request.FrontendAttributes[$"attest:{type}"] = string.Join(',', values.Where(value => value.Key != "type").Select(value => $"{value.Key}={value.Value}"));
    }

    /// <param name="value">Of the option of its own: <c>true</c>, <c>false</c>, or the attestation's options; null: it was not given.</param>
    public void AddAttestation(string type, string? value)
    {
        if (value is not null)
        {
            Request.FrontendAttributes[$"attest:{type}"] = bool.TryParse(value, out bool isOn) ? isOn ? "" : "disabled=true" : value;
        }
    }

    public void UseCredentials() => Resources.Credentials = static async (host, cancellationToken) =>
    {
        AuthConfig? auth = await CredentialFile.Open().GetAsync(RegistryKey.OfServer(host), cancellationToken).ConfigureAwait(false);
        return auth is null ? null
            : string.IsNullOrEmpty(auth.IdentityToken) ? new CredentialsResponse { User = auth.Username ?? "", Secret = auth.Password ?? "" }
            : new CredentialsResponse { Secret = auth.IdentityToken };
    };

    public void Dispose()
    {
        _owned.ForEach(owned => owned.Dispose());
        if (_made is not null)
        {
            Directory.Delete(_made, recursive: true);
        }
    }

    private async Task SetDockerfileAsync(string context, string? file, CancellationToken cancellationToken)
    {
        if (file == "-")
        {
            string folder = Made();
            FileStream written = File.Create(Path.Combine(folder, "Dockerfile"));
            await using (written.ConfigureAwait(false))
            {
                await Console.OpenStandardInput().CopyToAsync(written, cancellationToken).ConfigureAwait(false);
            }

            Share(Dockerfile, folder);
            return;
        }

        string path = Path.GetFullPath(file ?? Path.Combine(context, "Dockerfile"));
        if (!File.Exists(path))
        {
            throw new CommandException($"failed to read dockerfile: open {file ?? "Dockerfile"}: no such file or directory", 1);
        }

        Share(Dockerfile, Path.GetDirectoryName(path)!);
        Request.FrontendAttributes["filename"] = Path.GetFileName(path);
        DockerfilePath = path;
    }

    private async Task FromInputAsync(string? file, CancellationToken cancellationToken)
    {
        if (file == "-")
        {
            throw new CommandException("invalid argument: can't use stdin for both build context and dockerfile", 1);
        }

        MemoryStream head = new();
        Stream input = Console.OpenStandardInput();
        _owned.Add(input);
        byte[] buffer = new byte[HeadBytes];
        int length = await input.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        head.Write(buffer, 0, length);
        head.Position = 0;
        bool isArchive = TarReader.IsHeader(buffer.AsSpan(0, length)) || buffer is [0x1f, 0x8b, ..] or [0xfd, (byte)'7', (byte)'z', ..] or [0x28, 0xb5, 0x2f, 0xfd, ..] or [(byte)'B', (byte)'Z', (byte)'h', ..];
        if (isArchive)
        {
            string id = Guid.NewGuid().ToString("N");
            Resources.Upload = (id, new ConcatenatedStream(head, input));
            Request.FrontendAttributes[Context] = $"http://buildkit-session/{id}";
            Request.FrontendAttributes["filename"] = file ?? "Dockerfile";
            return;
        }

        string folder = Made();
        FileStream written = File.Create(Path.Combine(folder, "Dockerfile"));
        await using (written.ConfigureAwait(false))
        {
            await head.CopyToAsync(written, cancellationToken).ConfigureAwait(false);
            await input.CopyToAsync(written, cancellationToken).ConfigureAwait(false);
        }

        Share(Dockerfile, folder);
        Share(Context, Directory.CreateDirectory(Path.Combine(folder, "empty")).FullName);
    }

    private static CacheOption Cache(string text, string option)
    {
        Dictionary<string, string> values = KeyedValues.Parse(text, option, bare: "ref");
        CacheOption cache = new() { Type = values.GetValueOrDefault("type") ?? "registry" };
        foreach ((string key, string value) in values.Where(value => value.Key != "type"))
        {
            cache.Attributes[key] = value;
        }

        return cache;
    }

    private string Made() => _made ??= Directory.CreateTempSubdirectory("slipway-build-").FullName;

    private void Share(string name, string folder)
    {
        string full = Path.GetFullPath(folder);
        Microsoft.Win32.SafeHandles.SafeFileHandle root = new HostPath(full).Open(OpenFlags.Path | OpenFlags.Directory);
        _owned.Add(root);
        Resources.Directories[name] = new SharedDirectory(root, (paths, ignored) => new ContextSelection(full, paths, ignored), name == Dockerfile ? static (_, _) => { } : Sent.Add);
    }
}
