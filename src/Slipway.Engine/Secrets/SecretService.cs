using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using Slipway.Api.Secrets;
using Slipway.Engine.Containers;
using Slipway.Engine.Events;

namespace Slipway.Engine.Secrets;

/// <summary>
/// The secrets of an engine: a file each below the data root, sealed, replaced as a whole. Values are in memory only while they are sealed or put into a container.
/// </summary>
internal sealed partial class SecretService : ISecrets
{
    /// <summary>Docker's bound.</summary>
    public const int MaxBytes = 500 * 1024;

    private const int IdLength = 25;

    private readonly string _directory;
    private readonly SecretKey _key;
    private readonly EventLog _events;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, SecretDocument> _secrets = new(StringComparer.Ordinal);
    private readonly AsyncLock _changing = new();

    private SecretService(string directory, SecretKey key, EventLog events, TimeProvider time) => (_directory, _key, _events, _time) = (directory, key, events, time);

    /// <summary>The names of the containers that have a secret, by its id.</summary>
    public Func<string, IReadOnlyList<string>> UsersOf { get; set; } = _ => [];

    /// <exception cref="EngineException">A file is no secret.</exception>
    public static SecretService Open(EngineOptions options, EventLog events, TimeProvider time)
    {
        SecretService service = new($"{options.DataRoot}/secrets", new SecretKey(options.SecretsKeyFile), events, time);
        foreach (string file in Directory.Exists(service._directory) ? Directory.EnumerateFiles(service._directory) : [])
        {
            if (file.EndsWith(".new", StringComparison.Ordinal))
            {
                // Of an engine that was killed before it had told anybody of the secret.
                File.Delete(file);
                continue;
            }

            try
            {
                SecretDocument secret = JsonSerializer.Deserialize(File.ReadAllBytes(file), SecretJson.Default.SecretDocument) ?? throw new JsonException("it is null");
                service._secrets[secret.Id] = secret;
            }
            catch (JsonException error)
            {
                throw new EngineException(ErrorKind.System, $"{file} is no secret: {error.Message}", error);
            }
        }

        return service;
    }

    public IReadOnlyList<Secret> List(Filters filters)
    {
        filters.Validate("id", "name", "names", "label");
        return [.. _secrets.Values.Where(secret => Matches(secret, filters)).OrderBy(secret => secret.Name, StringComparer.Ordinal).Select(secret => secret.ToApi())];
    }

    public Secret Inspect(string reference) => Resolve(reference).ToApi();

    public async Task<string> CreateAsync(SecretSpec spec, CancellationToken cancellationToken)
    {
        if (spec.Name.Length > 64 || !Name().IsMatch(spec.Name))
        {
            throw Invalid("invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]");
        }

        if (spec.Driver is not null || spec.Templating is not null)
        {
            throw new EngineException(ErrorKind.NotImplemented, "secrets with a driver or a template need a swarm");
        }

        byte[] value = Decode(spec.Data);
        using AsyncLock.Holder holder = await _changing.AcquireAsync(cancellationToken);
        try
        {
            if (_secrets.Values.Any(secret => secret.Name == spec.Name))
            {
                throw new EngineException(ErrorKind.Conflict, $"secret {spec.Name} already exists");
            }

            string id = Identifiers.New()[..IdLength];
            (byte[] nonce, byte[] tag, byte[] closed) = _key.Seal(id, spec.Name, value);
            DateTimeOffset now = _time.GetUtcNow();
            Store(new SecretDocument(id, spec.Name, spec.Labels, now, now, 1, nonce, tag, closed));
            Publish("create", id, spec.Name);
            return id;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(value);
        }
    }

    public async Task UpdateAsync(string reference, ulong version, SecretSpec spec, CancellationToken cancellationToken)
    {
        using AsyncLock.Holder holder = await _changing.AcquireAsync(cancellationToken);
        SecretDocument secret = Resolve(reference);
        if (version != secret.Version)
        {
            throw new EngineException(ErrorKind.Conflict, "update out of sequence");
        }

        if ((spec.Name.Length > 0 && spec.Name != secret.Name) || spec.Data is { Length: > 0 } || spec.Driver is not null || spec.Templating is not null)
        {
            throw Invalid("only updates to Labels are allowed");
        }

        Store(secret with { Labels = spec.Labels, Updated = _time.GetUtcNow(), Version = secret.Version + 1 });
        Publish("update", secret.Id, secret.Name);
    }

    public async Task RemoveAsync(string reference, CancellationToken cancellationToken)
    {
        using AsyncLock.Holder holder = await _changing.AcquireAsync(cancellationToken);
        SecretDocument secret = Resolve(reference);
        if (UsersOf(secret.Id) is { Count: > 0 } users)
        {
            throw new EngineException(ErrorKind.Conflict, $"secret {secret.Name} is used by container {string.Join(", ", users)}");
        }

        File.Delete($"{_directory}/{secret.Id}");
        _secrets.TryRemove(secret.Id, out _);
        Publish("remove", secret.Id, secret.Name);
    }

    /// <exception cref="EngineException">NotFound, or InvalidParameter for an ambiguous prefix.</exception>
    internal SecretDocument Resolve(string reference)
    {
        if (_secrets.TryGetValue(reference, out SecretDocument? exact) || (exact = _secrets.Values.FirstOrDefault(secret => secret.Name == reference)) is not null)
        {
            return exact;
        }

        SecretDocument[] prefixed = reference.Length == 0 ? [] : [.. _secrets.Values.Where(secret => secret.Id.StartsWith(reference, StringComparison.Ordinal)).Take(2)];
        return prefixed.Length switch
        {
            1 => prefixed[0],
            0 => throw new EngineException(ErrorKind.NotFound, $"secret {reference} not found"),
            _ => throw Invalid($"secret {reference} is ambiguous (2 or more matches found)"),
        };
    }

    /// <returns>The value; the caller clears it.</returns>
    internal byte[] Value(string id) => _key.Open(Resolve(id));

    private static bool Matches(SecretDocument secret, Filters filters) =>
        (!filters.Has("id") || filters["id"].Any(id => secret.Id.StartsWith(id, StringComparison.Ordinal)))
        && (!filters.Has("name") || filters["name"].Any(name => secret.Name.StartsWith(name, StringComparison.Ordinal)))
        && (!filters.Has("names") || filters["names"].Contains(secret.Name))
        && filters["label"].All(label => label.Split('=', 2) is [var key, .. var value]
            && secret.Labels?.TryGetValue(key, out string? found) == true && (value.Length == 0 || value[0] == found));

    /// <summary>Go's clients use the standard alphabet in JSON; the API reference names the URL-safe one.</summary>
    private static byte[] Decode(string? data)
    {
        byte[] value;
        try
        {
            value = Convert.FromBase64String((data ?? "").Replace('-', '+').Replace('_', '/'));
        }
        catch (FormatException error)
        {
            throw Invalid($"secret data is not base64: {error.Message}");
        }

        return value.Length is > 0 and < MaxBytes ? value : throw Invalid($"secret data must be larger than 0 and less than {MaxBytes} bytes");
    }

    /// <summary>On the disk before anybody is told.</summary>
    private void Store(SecretDocument secret)
    {
        const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        string path = $"{_directory}/{secret.Id}";
        try
        {
            Directory.CreateDirectory(_directory, Owner | UnixFileMode.UserExecute);
            using (FileStream file = new(path + ".new", new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = Owner }))
            {
                JsonSerializer.Serialize(file, secret, SecretJson.Default.SecretDocument);
                file.Flush(flushToDisk: true);
            }

            File.Move(path + ".new", path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            File.Delete(path + ".new");
            throw new EngineException(ErrorKind.System, $"secret {secret.Name} could not be stored: {error.Message}", error);
        }

        _secrets[secret.Id] = secret;
    }

    private void Publish(string action, string id, string name) => _events.Publish("secret", action, id, new Dictionary<string, string> { ["name"] = name });

    private static EngineException Invalid(string message) => new(ErrorKind.InvalidParameter, message);

    [GeneratedRegex("^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$")]
    private static partial Regex Name();
}
