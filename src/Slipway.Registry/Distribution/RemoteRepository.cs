using System.Net;
using Slipway.Oci;
using Slipway.Registry.Distribution.Transfer;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution;

/// <summary>
/// One repository: what is read is asked for at the mirrors and then at the registry, what is written goes to the registry. A mirror that fails
/// in whatever way is passed over; only the registry's own refusal is the user's.
/// </summary>
internal sealed partial class RemoteRepository(
    Reference name, RegistryAccess access, IReadOnlyList<RegistryConnection> connections, TimeProvider clock) : IRemoteRepository
{
    public Reference Name => name;

    private RegistryConnection Registry => connections[^1];

    private IEnumerable<RegistryConnection> Mirrors => connections.SkipLast(1).Where(mirror => !mirror.IsSilent);

    public Task<Descriptor> ResolveAsync(string tagOrDigest, CancellationToken cancellationToken)
    {
        var asked = Ask(tagOrDigest);
        return AtFirstAsync(connection => ResolveAsync(connection, tagOrDigest, asked, cancellationToken));
    }

    public Task<RemoteManifest> GetManifestAsync(string tagOrDigest, CancellationToken cancellationToken)
    {
        var asked = Ask(tagOrDigest);
        return AtFirstAsync(connection => GetManifestAsync(connection, tagOrDigest, asked, cancellationToken));
    }

    public async Task<Stream> OpenBlobAsync(Descriptor blob, long offset, CancellationToken cancellationToken) =>
        await BlobStream.OpenAsync([.. Mirrors.Append(Registry).Select(connection => new RegistryBlobSource(connection, name))], blob, offset, clock, cancellationToken).ConfigureAwait(false);

    public Task<bool> HasBlobAsync(Digest digest, CancellationToken cancellationToken) => AtFirstAsync(connection => HasBlobAsync(connection, digest, cancellationToken));

    public ValueTask DisposeAsync()
    {
        foreach (var connection in connections)
        {
            connection.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    private async Task<Descriptor> ResolveAsync(RegistryConnection connection, string tagOrDigest, Reference asked, CancellationToken cancellationToken)
    {
        using var answer = await connection.SendAsync(ManifestRequest(HttpMethod.Head, tagOrDigest), cancellationToken).ConfigureAwait(false);
        var type = answer.Content.Headers.ContentType?.MediaType;
        if (answer.StatusCode != HttpStatusCode.OK || answer.Content.Headers.ContentLength is not { } size || !ManifestAnswer.Accepted.Contains(type))
        {
            // A refusal has its text, and a type has its document, only in the answer to GET.
            return (await GetManifestAsync(connection, tagOrDigest, asked, cancellationToken).ConfigureAwait(false)).Descriptor;
        }

        var digest = ManifestAnswer.DigestOf(answer);
        if (!asked.Digest.IsNone)
        {
            digest = digest.IsNone || digest == asked.Digest
                ? asked.Digest
                : throw new RegistryException(RegistryErrorKind.Invalid, $"manifest verification failed for digest {asked.Digest}");
        }

        if (size > ManifestLimits.Document)
        {
            throw new RegistryException(RegistryErrorKind.Invalid, $"the manifest of {asked.Familiar} has more than {ManifestLimits.Document} bytes: refused");
        }

        return digest.IsNone
            ? (await GetManifestAsync(connection, tagOrDigest, asked, cancellationToken).ConfigureAwait(false)).Descriptor
            : new Descriptor { MediaType = type!, Digest = digest, Size = size };
    }

    private async Task<RemoteManifest> GetManifestAsync(RegistryConnection connection, string tagOrDigest, Reference asked, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            using var answer = await connection.SendAsync(ManifestRequest(HttpMethod.Get, tagOrDigest), cancellationToken).ConfigureAwait(false);
            if (answer.StatusCode != HttpStatusCode.OK)
            {
                throw Refusal(await ErrorAnswer.ReadAsync(answer, cancellationToken, "MANIFEST_UNKNOWN").ConfigureAwait(false), asked);
            }

            try
            {
                return await ManifestAnswer.ReadAsync(answer, asked.Digest, asked, cancellationToken).ConfigureAwait(false);
            }
            catch (ConnectionException) when (failures < connection.Sender.Retry.Attempts)
            {
                await connection.Sender.WaitAsync(failures, cancellationToken).ConfigureAwait(false);
            }
            catch (ConnectionException error)
            {
                throw new RegistryException(RegistryErrorKind.Unavailable, RegistryConnection.InRequest(HttpMethod.Get, answer.RequestMessage!.RequestUri!, error.Message), error);
            }
        }
    }

    private async Task<bool> HasBlobAsync(RegistryConnection connection, Digest digest, CancellationToken cancellationToken)
    {
        using var answer = await connection.SendAsync(new RegistryRequest(HttpMethod.Head, $"v2/{name.Path}/blobs/{digest}"), cancellationToken).ConfigureAwait(false);
        return answer.StatusCode switch
        {
            HttpStatusCode.OK => true,
            HttpStatusCode.NotFound => false,
            _ => throw (await ErrorAnswer.ReadAsync(answer, cancellationToken).ConfigureAwait(false)).ToException(),
        };
    }

    private RegistryRequest ManifestRequest(HttpMethod method, string tagOrDigest) => new(method, $"v2/{name.Path}/manifests/{tagOrDigest}")
    {
        Headers = headers =>
        {
            foreach (var type in ManifestAnswer.Accepted)
            {
                headers.Accept.Add(new(type));
            }
        },
    };

    /// <summary>The answer of the first connection that has one. An invalid answer of a mirror does not stand in the way of the registry's.</summary>
    private async Task<T> AtFirstAsync<T>(Func<RegistryConnection, Task<T>> ask)
    {
        foreach (var mirror in Mirrors)
        {
            try
            {
                return await ask(mirror).ConfigureAwait(false);
            }
            catch (RegistryException)
            {
                // The next mirror, or the registry, decides.
            }
        }

        return await ask(Registry).ConfigureAwait(false);
    }

    /// <summary>Reads a tag or a digest, before it becomes part of an address.</summary>
    private Reference Ask(string tagOrDigest) =>
        Digest.TryParse(tagOrDigest, out var digest) ? name.WithDigest(digest)
        : Reference.IsTag(tagOrDigest) ? name.WithTag(tagOrDigest)
        : throw new RegistryException(RegistryErrorKind.Refused, "invalid reference format");

    /// <summary>A refused manifest in dockerd's words: a pull says what it looked for, and takes "denied" for "perhaps not there".</summary>
    private RegistryException Refusal(ErrorAnswer error, Reference asked) => (access, error.Code) switch
    {
        (RegistryAccess.Pull, "DENIED") => new(
            RegistryErrorKind.NotFound, $"pull access denied for {asked.FamiliarName}, repository does not exist or may require 'docker login': {error.Text}"),
        (RegistryAccess.Pull, "MANIFEST_UNKNOWN") => new(RegistryErrorKind.NotFound, $"manifest for {asked.Familiar} not found: {error.Text}"),
        (RegistryAccess.Pull, "NAME_UNKNOWN") => new(RegistryErrorKind.NotFound, $"repository {asked.FamiliarName} not found: {error.Text}"),
        _ => error.ToException(),
    };
}
