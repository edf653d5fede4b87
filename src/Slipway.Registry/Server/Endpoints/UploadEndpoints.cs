using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Slipway.Kernel;
using Slipway.Oci;
using Slipway.Registry.Server.Access;
using Slipway.Registry.Server.Http;
using Slipway.Registry.Server.Storage;

namespace Slipway.Registry.Server.Endpoints;

/// <summary>Uploads of blobs (distribution-spec, "Pushing blobs", "Pushing a blob in chunks", "Mounting a blob from another repository").</summary>
internal sealed class UploadEndpoints(IRegistryStorage storage, TimeProvider time)
{
    /// <summary>How long a request waits for another one on the same upload: the remains of a connection that the client gave up.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(50);

    /// <summary>POST: mounts a blob, takes a whole one, or begins an upload.</summary>
    public async Task PostAsync(RegistryRequest request)
    {
        if (request.Query("mount") is { Length: > 0 } mount)
        {
            Digest wanted = RegistryRequest.RequireDigest(mount);
            if (await MountAsync(request, wanted))
            {
                Created(request, wanted);
                return;
            }
        }

        Digest? whole = request.Query("digest") is { Length: > 0 } text ? RegistryRequest.RequireDigest(text) : null;
        if (request.Query("digest-algorithm") is { Length: > 0 } algorithm && algorithm is not (Digest.Sha256 or Digest.Sha512))
        {
            throw RegistryError.DigestInvalid("unsupported digest algorithm");
        }

        using IBlobUpload upload = await storage.BeginUploadAsync(request.Repository, request.Aborted);
        if (whole is { } digest)
        {
            await ReceiveWholeAsync(request, upload, digest);
            return;
        }

        Accepted(request, upload, StatusCodes.Status202Accepted);
    }

    /// <summary>PATCH: a chunk, which must continue what is there.</summary>
    public async Task PatchAsync(RegistryRequest request)
    {
        using IBlobUpload upload = await OpenAsync(request);
        RequireOrder(request, upload);
        await ReceiveAsync(request, upload);
        Accepted(request, upload, StatusCodes.Status202Accepted);
    }

    /// <summary>PUT: perhaps a last chunk, and the digest of all.</summary>
    public async Task PutAsync(RegistryRequest request)
    {
        Digest digest = RegistryRequest.RequireDigest(request.Query("digest"));
        using IBlobUpload upload = await OpenAsync(request);
        RequireOrder(request, upload);
        await ReceiveAsync(request, upload);
        await CommitAsync(request, upload, digest);
    }

    /// <summary>GET: how far it has come.</summary>
    public async Task GetAsync(RegistryRequest request)
    {
        using IBlobUpload upload = await OpenAsync(request);
        Accepted(request, upload, StatusCodes.Status204NoContent);
    }

    public async Task DeleteAsync(RegistryRequest request)
    {
        using IBlobUpload upload = await OpenAsync(request);
        upload.Cancel();
        request.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    /// <summary>Only from a repository whose content the caller may read: knowing a digest is no right to what has it.</summary>
    private async Task<bool> MountAsync(RegistryRequest request, Digest digest) =>
        RepositoryName.TryParse(request.Query("from"), out RepositoryName source)
        && request.Caller.May(Rights.Pull, source)
        && await storage.MountBlobAsync(source, request.Repository, digest, request.Aborted);

    private async Task<IBlobUpload> OpenAsync(RegistryRequest request)
    {
        long begin = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await storage.OpenUploadAsync(request.Repository, request.Reference, request.Aborted) ?? throw RegistryError.UploadUnknown();
            }
            catch (UploadBusyException e)
            {
                if (time.GetElapsedTime(begin) > s_patience)
                {
                    request.Response.Headers.RetryAfter = "5";
                    throw RegistryError.TooManyRequests(e.Message);
                }

                await Task.Delay(s_retry, time, request.Aborted);
            }
        }
    }

    private static void RequireOrder(RegistryRequest request, IBlobUpload upload)
    {
        string header = request.Request.Headers.ContentRange.ToString();
        if (header.Length == 0)
        {
            return;
        }

        int dash = header.IndexOf('-', StringComparison.Ordinal);
        if (dash <= 0
            || !long.TryParse(header.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture, out long first)
            || !long.TryParse(header.AsSpan(dash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out long last))
        {
            throw RegistryError.UploadInvalid("Content-Range must be FIRST-LAST");
        }

        if (request.Request.ContentLength is { } length && length != last - first + 1)
        {
            throw RegistryError.SizeInvalid("Content-Range and Content-Length contradict each other");
        }

        if (first != upload.Length)
        {
            Describe(request, upload);
            throw new RegistryError(StatusCodes.Status416RangeNotSatisfiable, "BLOB_UPLOAD_INVALID", $"the upload has {upload.Length} bytes");
        }
    }

    private static async Task ReceiveWholeAsync(RegistryRequest request, IBlobUpload upload, Digest digest)
    {
        try
        {
            await ReceiveAsync(request, upload);
        }
        catch
        {
            // Nobody knows its id: it cannot be continued.
            upload.Cancel();
            throw;
        }

        await CommitAsync(request, upload, digest);
    }

    private static async Task CommitAsync(RegistryRequest request, IBlobUpload upload, Digest digest)
    {
        try
        {
            if (!await upload.CommitAsync(digest, request.Aborted))
            {
                // What was sent is something else; no continuation makes it right.
                upload.Cancel();
                throw RegistryError.DigestInvalid("provided digest did not match uploaded content");
            }
        }
        catch (IOException e) when (IsFull(e))
        {
            upload.Cancel();
            throw RegistryError.NoSpace();
        }

        Created(request, digest);
    }

    /// <summary>Appends the body. What arrived before the client was cut off stays and can be continued.</summary>
    private static async Task ReceiveAsync(RegistryRequest request, IBlobUpload upload)
    {
        PipeReader reader = request.Request.BodyReader;
        try
        {
            while (true)
            {
                ReadResult read = await reader.ReadAsync(request.Aborted);
                foreach (ReadOnlyMemory<byte> segment in read.Buffer)
                {
                    upload.Write(segment.Span);
                }

                reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                {
                    return;
                }
            }
        }
        catch (IOException e) when (IsFull(e))
        {
            upload.Cancel();
            throw RegistryError.NoSpace();
        }
    }

    private static bool IsFull(IOException error) => error is KernelException { Errno: Errno.ENOSPC or Errno.EDQUOT } or { HResult: Errno.ENOSPC or Errno.EDQUOT };

    private static void Created(RegistryRequest request, Digest digest)
    {
        request.Response.StatusCode = StatusCodes.Status201Created;
        request.Response.Headers.Location = request.BlobLocation(digest);
        request.Response.Headers["Docker-Content-Digest"] = digest.ToString();
    }

    private static void Accepted(RegistryRequest request, IBlobUpload upload, int status)
    {
        request.Response.StatusCode = status;
        Describe(request, upload);
    }

    private static void Describe(RegistryRequest request, IBlobUpload upload)
    {
        request.Response.Headers.Location = request.UploadLocation(upload.Id);
        request.Response.Headers["Docker-Upload-UUID"] = upload.Id;
        request.Response.Headers.Range = string.Create(CultureInfo.InvariantCulture, $"0-{Math.Max(0, upload.Length - 1)}");
    }
}
