using System.Security.Cryptography;
using System.Text;

namespace Slipway.Engine.Secrets;

/// <summary>
/// The key that secrets are sealed with (AES-256-GCM), in a file of its own outside the data root: a copy of the data root (a backup, a snapshot, a disk that is sent
/// away) tells nothing of them. Root on the running host, who can read both, is not kept out.
/// </summary>
internal sealed class SecretKey(string path)
{
    private const int KeyBytes = 32;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <exception cref="EngineException">The key cannot be made or read.</exception>
    public (byte[] Nonce, byte[] Tag, byte[] Sealed) Seal(string id, string name, ReadOnlySpan<byte> value)
    {
        byte[] nonce = RandomNumberGenerator.GetBytes(NonceBytes);
        byte[] tag = new byte[TagBytes];
        byte[] result = new byte[value.Length];
        byte[] key = Read(create: true);
        try
        {
            using AesGcm cipher = new(key, TagBytes);
            cipher.Encrypt(nonce, value, result, tag, Context(id, name));
            return (nonce, tag, result);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <returns>The value; the caller clears it.</returns>
    /// <exception cref="EngineException">The key is missing or another one, or the secret was changed.</exception>
    public byte[] Open(SecretDocument secret)
    {
        byte[] value = new byte[secret.Sealed.Length];
        byte[] key = Read(create: false);
        try
        {
            using AesGcm cipher = new(key, TagBytes);
            cipher.Decrypt(secret.Nonce, secret.Sealed, secret.Tag, value, Context(secret.Id, secret.Name));
            return value;
        }
        catch (CryptographicException error)
        {
            throw new EngineException(ErrorKind.System, $"secret {secret.Name} cannot be opened with the key in {path}: it was sealed with another one, or changed", error);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    private static byte[] Context(string id, string name) => Encoding.UTF8.GetBytes($"slipway secret\n{id}\n{name}");

    private byte[] Read(bool create)
    {
        try
        {
            if (create && !File.Exists(path))
            {
                Make();
            }

            if ((File.GetUnixFileMode(path) & ~OwnerOnly) != 0)
            {
                throw new EngineException(ErrorKind.System, $"the key of secrets, {path}, can be read by others: its mode must be 0600");
            }

            byte[] key = File.ReadAllBytes(path);
            return key.Length == KeyBytes ? key : throw new EngineException(ErrorKind.System, $"the key of secrets, {path}, must have {KeyBytes} bytes, not {key.Length}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.System, $"the key of secrets: {error.Message}", error);
        }
    }

    /// <summary>Made whole before it has its name; of two engines that make it at once one wins, and both use that.</summary>
    private void Make()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string temporary = $"{path}.{Guid.NewGuid():N}";
        byte[] key = RandomNumberGenerator.GetBytes(KeyBytes);
        try
        {
            using (FileStream file = new(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
            {
                file.Write(key);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: false);
        }
        catch (IOException) when (File.Exists(path))
        {
            File.Delete(temporary);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }
}
