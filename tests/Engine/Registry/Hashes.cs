namespace Slipway.Tests.Engine.Registry;

/// <summary>Made by <c>htpasswd -nbB</c> of apache2-utils.</summary>
internal static class Hashes
{
    public const string Wonderland = "$2y$05$d3LLCTfaCTea1lOdmEW8V.OkfcnDBylBDbOLqNrEMaiwwgbZQVRsi";
    public const string Builder = "$2y$05$/r4odook/9AsCVs5olDQ8eB828GoZViuWmuyV2y/SRgekzhgFmyNi";
}
