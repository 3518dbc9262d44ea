/** The User-Agent of this program as a player; a version that servers know. */
export const PLAYER_PRODUCT = 'NSPlayer/12.0.7680.0';
