using Slipway.Oci;

namespace Slipway.Cli.Commands;

/// <summary>Names of images as a user writes them.</summary>
internal static class ImageName
{
    /// <exception cref="CommandException">No valid name, in docker's words.</exception>
    public static Reference Parse(string text)
    {
        try
        {
            return Reference.Parse(text);
        }
        catch (OciException exception)
        {
            throw new CommandException(exception.Message, 1);
        }
    }
}
