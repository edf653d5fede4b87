using System.Net;
using System.Text.Json;
using Slipway.Oci;
using Slipway.Registry.Distribution.Transfer;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution;

/// <summary>Pushing.</summary>
internal sealed partial class RemoteRepository
{
    /// <summary>Repositories that are tried as the source of a mount; each costs a request.</summary>
    private const int MostMounts = 4;

    private const string SubjectHeader = "OCI-Subject";

    public async Task<BlobPush> PushBlobAsync(
        Descriptor blob, IReadOnlyList<string> mountFrom, Func<CancellationToken, ValueTask<Stream>> open, IProgress<long>? sent, CancellationToken cancellationToken)
    {
        if (await HasBlobAsync(Registry, blob.Digest, cancellationToken).ConfigureAwait(false))
        {
            return new BlobPush(BlobPushKind.AlreadyThere);
        }

        UploadSession? session = null;
        foreach (var source in mountFrom.Where(source => source != name.Path).Distinct().Take(MostMounts))
        {
            var (isMounted, begun) = await MountAsync(blob.Digest, source, cancellationToken).ConfigureAwait(false);
            if (isMounted)
            {
                return new BlobPush(BlobPushKind.Mounted, source);
            }

            // The registry answers a mount that it declines with a new upload: the last of them is used, the others expire.
            session = begun ?? session;
        }

        await new BlobUpload(Registry, name, blob, open, sent).RunAsync(session, cancellationToken).ConfigureAwait(false);
        return new BlobPush(BlobPushKind.Uploaded);
    }

    public async Task PushManifestAsync(string tagOrDigest, RemoteManifest manifest, CancellationToken cancellationToken)
    {
        var asked = Ask(tagOrDigest);
        if (!asked.Digest.IsNone && asked.Digest != manifest.Descriptor.Digest)
        {
            throw new RegistryException(RegistryErrorKind.Refused, $"a manifest with the digest {manifest.Descriptor.Digest} cannot be pushed as {asked.Digest}");
        }

        using var answer = await Registry.SendAsync(
            new RegistryRequest(HttpMethod.Put, $"v2/{name.Path}/manifests/{tagOrDigest}")
            {
                Content = () => new ReadOnlyMemoryContent(manifest.Content) { Headers = { ContentType = new(manifest.Descriptor.MediaType) } },
            },
            cancellationToken).ConfigureAwait(false);
        if (!answer.IsSuccessStatusCode)
        {
            throw (await ErrorAnswer.ReadAsync(answer, cancellationToken).ConfigureAwait(false)).ToException();
        }

        if (ManifestAnswer.DigestOf(answer) is { IsNone: false } stored && stored.Algorithm == manifest.Descriptor.Digest.Algorithm && stored != manifest.Descriptor.Digest)
        {
            throw new RegistryException(RegistryErrorKind.Invalid, $"the registry stored the manifest {manifest.Descriptor.Digest} as {stored}");
        }

        await AddToFallbackTagAsync(manifest, answer, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// A registry without the referrers API does not say that it has seen the subject: then who pushes keeps the list of what refers to it,
    /// an index under a tag (distribution-spec, "Pushing Manifests with Subject").
    /// </summary>
    private async Task AddToFallbackTagAsync(RemoteManifest manifest, HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        if (answer.Headers.Contains(SubjectHeader) || Referrer.Of(manifest) is not { } referrer)
        {
            return;
        }

        var others = await ReadFallbackTagAsync(referrer.Subject, cancellationToken).ConfigureAwait(false);
        if (others.Any(other => other.Digest == manifest.Descriptor.Digest))
        {
            return;
        }

        var index = new ImageIndex { MediaType = MediaTypes.OciIndex, Manifests = [.. others, referrer.Descriptor] };
        var content = JsonSerializer.SerializeToUtf8Bytes(index, OciJson.Default.ImageIndex);
        var descriptor = new Descriptor { MediaType = MediaTypes.OciIndex, Digest = Digest.Of(content), Size = content.Length };
        await PushManifestAsync(FallbackTag(referrer.Subject), new RemoteManifest(descriptor, content), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Tries to mount. Not being allowed to read the source is no error: the blob is uploaded then.</summary>
    private async Task<(bool IsMounted, UploadSession? Begun)> MountAsync(Digest digest, string source, CancellationToken cancellationToken)
    {
        var request = new RegistryRequest(HttpMethod.Post, $"v2/{name.Path}/blobs/uploads/?mount={Uri.EscapeDataString(digest.ToString())}&from={Uri.EscapeDataString(source)}")
        {
            Scopes = [DistributionClient.Scope(source, RegistryAccess.Pull)],
        };
        try
        {
            using var answer = await Registry.SendAsync(request, cancellationToken).ConfigureAwait(false);
            return answer.StatusCode switch
            {
                HttpStatusCode.Created => (true, null),
                HttpStatusCode.Accepted => (false, BlobUpload.SessionOf(answer, 0)),
                _ => (false, null),
            };
        }
        catch (RegistryException error) when (error.Kind is RegistryErrorKind.Unauthorized or RegistryErrorKind.Denied)
        {
            return (false, null);
        }
    }
}
