namespace Slipway.Oci;

/// <summary>A document, name or archive that its specification does not allow. The message is meant for the user.</summary>
public sealed class OciException : FormatException
{
    public OciException(string message) : base(message)
    {
    }

    public OciException(string message, Exception innerException) : base(message, innerException)
    {
    }
}
