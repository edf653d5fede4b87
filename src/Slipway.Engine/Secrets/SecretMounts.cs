using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Api.Secrets;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Users;

namespace Slipway.Engine.Secrets;

/// <summary>
/// Secrets as files of a container: in a file system in memory that is made for one run of it, read-only, and gone with it. It is part of no layer, so no diff, commit or
/// export has it, and of no mount that inspect shows or another container could take over.
/// </summary>
internal static class SecretMounts
{
    public const string Directory = "/run/secrets";

    /// <summary>The label by which clients that do not know the field ask for secrets: <c>NAME[:TARGET]</c>, separated by commas.</summary>
    public const string Label = "slipway.secrets";

    private const int MaxMode = 0x1ff;

    /// <summary>How a secret's mount is changed when it is bound: as the container may see it.</summary>
    public static IReadOnlyList<string> Options { get; } = ["bind", "ro", "nosuid", "nodev", "noexec", "rprivate"];

    /// <summary>What the request asks for, by field and by label, with the ids of the secrets; labels of the image have no say. Null for nothing.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static List<SecretReference>? Requested(ContainerCreateRequest request, SecretService secrets)
    {
        IEnumerable<SecretReference> labelled = (request.Labels?.GetValueOrDefault(Label) ?? "")
            .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(text => text.Split(':', 2)).Select(parts => new SecretReference { Source = parts[0], Target = parts.Length > 1 ? parts[1] : "" });
        List<SecretReference> references = [.. (request.HostConfig?.Secrets ?? []).Concat(labelled).Select(reference => Resolve(reference, request.Judged?.Secrets.GetValueOrDefault(reference.Source), secrets))];
        string? twice = references.GroupBy(Path).FirstOrDefault(group => group.Count() > 1)?.Key;
        return references.Count == 0 ? null : twice is null ? references : throw ContainerErrors.Invalid($"Duplicate mount point: {twice}");
    }

    /// <summary>Where the mounts of a container's secrets lie: one for those in the usual directory, one for each file elsewhere.</summary>
    public static IEnumerable<string> Destinations(HostConfig host) => (host.Secrets ?? []).Select(Destination).Distinct(StringComparer.Ordinal);

    /// <summary>Makes the mounts, by destination; they are the caller's.</summary>
    /// <param name="users">Of the container's user namespace, by which owners are meant; null where it has none.</param>
    /// <exception cref="EngineException">A secret is gone, or cannot be opened.</exception>
    public static void Open(HostConfig host, SecretService secrets, IdMaps? users, Dictionary<string, SafeFileHandle> mounts)
    {
        foreach (IGrouping<string, SecretReference> place in (host.Secrets ?? []).GroupBy(Destination))
        {
            SafeFileHandle files = FileSystem();
            try
            {
                foreach (SecretReference reference in place)
                {
                    Write(files, Path(reference)[(Path(reference).LastIndexOf('/') + 1)..], reference, secrets, users);
                }

                mounts.Add(place.Key, place.Key == Directory ? files : MountPart.Take(files, place.Key[(place.Key.LastIndexOf('/') + 1)..]));
            }
            finally
            {
                if (!mounts.ContainsValue(files))
                {
                    files.Dispose();
                }
            }
        }
    }

    /// <param name="judged">The id that the source stands for; null: whichever has the name.</param>
    private static SecretReference Resolve(SecretReference reference, string? judged, SecretService secrets)
    {
        try
        {
            SecretDocument secret = secrets.Resolve(judged ?? reference.Source);
            string target = reference.Target.Length == 0 ? secret.Name : reference.Target;
            bool valid = target.StartsWith('/') ? MountPaths.Destination(target, target) == target : target is not ("." or "..") && !target.AsSpan().ContainsAny('/', '\0');
            return !valid ? throw ContainerErrors.Invalid($"secret {secret.Name}: invalid target \"{target}\": it must be a name, or an absolute path without dots")
                : reference.Mode > MaxMode ? throw ContainerErrors.Invalid($"secret {secret.Name}: invalid mode {Convert.ToString(reference.Mode, 8)}")
                : reference with { Source = secret.Name, Target = target, SecretID = secret.Id };
        }
        catch (EngineException exception) when (exception.Kind == ErrorKind.NotFound)
        {
            // Any 404 of a creation means to the docker CLI that the image is missing.
            throw ContainerErrors.Invalid(exception.Message);
        }
    }

    private static string Path(SecretReference reference) => reference.Target.StartsWith('/') ? reference.Target : $"{Directory}/{reference.Target}";

    private static string Destination(SecretReference reference) =>
        reference.Target.StartsWith('/') && !(reference.Target.StartsWith(Directory + "/", StringComparison.Ordinal) && reference.Target.LastIndexOf('/') == Directory.Length) ? reference.Target : Directory;

    /// <summary>In memory, and where the kernel can (Linux 6.4) never in swap.</summary>
    private static SafeFileHandle FileSystem()
    {
        try
        {
            return FileSystemContext.Mount("tmpfs", MountAttributes.None, "source=tmpfs", "mode=755", "noswap");
        }
        catch (KernelException error) when (error.Errno == Errno.EINVAL)
        {
            return FileSystemContext.Mount("tmpfs", MountAttributes.None, "source=tmpfs", "mode=755");
        }
    }

    private static void Write(SafeFileHandle directory, string name, SecretReference reference, SecretService secrets, IdMaps? users)
    {
        byte[] value = secrets.Value(reference.SecretID!);
        try
        {
            using (SafeFileHandle file = DirectoryEntry.Open(directory, name, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, 0x100))
            {
                Descriptors.Write(file, value);
            }

            DirectoryEntry.ChangeOwner(directory, name, users?.Users.Outside(reference.UID) ?? reference.UID, users?.Groups.Outside(reference.GID) ?? reference.GID);
            DirectoryEntry.ChangeMode(directory, name, reference.Mode);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(value);
        }
    }
}
