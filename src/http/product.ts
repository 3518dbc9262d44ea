/** The User-Agent of this program as a player: that of Windows Media Player 12, which servers know. */
export const PLAYER_PRODUCT = 'NSPlayer/12.0.7680.0';
